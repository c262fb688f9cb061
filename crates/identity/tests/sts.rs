//! STS's operations and the credentials they give.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod support;

use names::{Caller, CallerKind};
use shapes::iam::{CreateAccessKeyOp, CreateRoleOp, CreateUserOp, DeleteRoleOp, UpdateAssumeRolePolicyOp};
use shapes::sts::{AssumeRoleOp, GetCallerIdentityOp};
use std::time::Duration;
use support::{House, TRUST, code};
use wire::auth::{AuthError, Authenticator};

const ROLE: &str = "arn:aws:iam::000000000000:role/worker";

/// A house with the role `worker`, which trusts the account's users, and one of them.
async fn house() -> (House, Caller) {
    let house = House::new().await;
    house.ask::<CreateUserOp>(&[("UserName", "alice")]).await.unwrap();
    let key = house.ask::<CreateAccessKeyOp>(&[("UserName", "alice")]).await.unwrap().access_key;
    let trust = TRUST.replace(r#"{"Service":"lambda.amazonaws.com"}"#, r#"{"AWS":"arn:aws:iam::000000000000:root"}"#);
    house.ask::<CreateRoleOp>(&[("RoleName", "worker"), ("AssumeRolePolicyDocument", &trust)]).await.unwrap();
    let alice = house.identity.find(&key.access_key_id, None, house.world.now()).unwrap().caller;
    (house, alice)
}

#[tokio::test(start_paused = true)]
async fn a_session_is_good_until_it_ends_and_across_a_restart() {
    let (house, alice) = house().await;
    let input = [("RoleArn", ROLE), ("RoleSessionName", "s1"), ("DurationSeconds", "900")];
    let answer = house.ask_as::<AssumeRoleOp>(&alice, &input).await.unwrap();
    let user = answer.assumed_role_user.unwrap();
    assert_eq!(user.arn, "arn:aws:sts::000000000000:assumed-role/worker/s1");
    let credentials = answer.credentials.unwrap();
    let (id, token) = (credentials.access_key_id.as_str(), credentials.session_token.as_str());
    assert!(id.starts_with("ASIA") && id.len() == 20);

    let House { world, disk, store, identity } = house;
    store.close().await;
    drop((store, identity));
    disk.crash();
    let house = House::open(world, disk).await;
    let now = house.world.now();
    let principal = house.identity.find(id, Some(token), now).unwrap();
    assert_eq!(principal.secret, credentials.secret_access_key);
    assert_eq!(principal.caller.principal_id, user.assumed_role_id);
    let CallerKind::AssumedRole { role_arn, session, .. } = &principal.caller.kind else { panic!("not a session") };
    assert_eq!((role_arn.as_str(), session.as_str()), (ROLE, "s1"));
    let me = house.ask_as::<GetCallerIdentityOp>(&principal.caller, &[]).await.unwrap();
    assert_eq!(me.arn.as_deref(), Some(user.arn.as_str()));

    let find = |id: &str, token: Option<&str>, at| house.identity.find(id, token, at).map(|_| ());
    assert_eq!(find(id, None, now), Err(AuthError::UnknownKey));
    assert_eq!(find("ASIAAAAAAAAAAAAAAAAA", Some(token), now), Err(AuthError::WrongToken));
    assert_eq!(find(id, Some(&token.to_lowercase()), now), Err(AuthError::WrongToken));
    assert_eq!(find("test", Some(token), now), Err(AuthError::WrongToken));
    assert_eq!(find(id, Some(token), now.plus(Duration::from_secs(899))), Ok(()));
    assert_eq!(find(id, Some(token), now.plus(Duration::from_secs(900))), Err(AuthError::ExpiredToken));

    house.ask::<DeleteRoleOp>(&[("RoleName", "worker")]).await.unwrap();
    assert_eq!(find(id, Some(token), now), Err(AuthError::UnknownKey));
}

#[tokio::test(start_paused = true)]
async fn who_may_not_is_denied() {
    let (house, alice) = house().await;
    let asked = [("RoleArn", ROLE), ("RoleSessionName", "s1")];
    let root = code(house.ask::<AssumeRoleOp>(&asked).await);
    assert_eq!(root, ("AccessDenied", "Roles may not be assumed by root accounts.".into()));
    let ghost = "arn:aws:iam::000000000000:role/ghost";
    let denied = code(house.ask_as::<AssumeRoleOp>(&alice, &[("RoleArn", ghost), asked[1]]).await);
    let why = format!("User: {} is not authorized to perform: sts:AssumeRole on resource: {ghost}", alice.arn);
    assert_eq!(denied, ("AccessDenied", why));
    house.ask::<CreateRoleOp>(&[("RoleName", "lambda"), ("AssumeRolePolicyDocument", TRUST)]).await.unwrap();
    let theirs = [("RoleArn", "arn:aws:iam::000000000000:role/lambda"), asked[1]];
    assert_eq!(code(house.ask_as::<AssumeRoleOp>(&alice, &theirs).await).0, "AccessDenied");
    let long = code(house.ask_as::<AssumeRoleOp>(&alice, &[asked[0], asked[1], ("DurationSeconds", "7200")]).await);
    let why = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
    assert_eq!(long, ("ValidationError", why.into()));
    let policy = code(house.ask_as::<AssumeRoleOp>(&alice, &[asked[0], asked[1], ("Policy", "{}")]).await);
    assert!(policy.1.contains("Policy"), "{policy:?}");
}

#[tokio::test(start_paused = true)]
async fn trust_is_taken_away_and_given_back() {
    let (house, alice) = house().await;
    let asked = [("RoleArn", ROLE), ("RoleSessionName", "s1")];
    let set = async |document: &str| {
        let input = [("RoleName", "worker"), ("PolicyDocument", document)];
        house.ask::<UpdateAssumeRolePolicyOp>(&input).await.unwrap();
    };
    let session = house.ask_as::<AssumeRoleOp>(&alice, &asked).await.unwrap().credentials.unwrap();
    set(TRUST).await;
    assert_eq!(code(house.ask_as::<AssumeRoleOp>(&alice, &asked).await).0, "AccessDenied");
    let (id, token) = (session.access_key_id.as_str(), session.session_token.as_str());
    house.identity.find(id, Some(token), house.world.now()).expect("sessions that were given stay good");
    set(&TRUST.replace(r#"{"Service":"lambda.amazonaws.com"}"#, r#"{"AWS":"000000000000"}"#)).await;
    house.ask_as::<AssumeRoleOp>(&alice, &asked).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn functions_get_sessions_of_their_role() {
    let (house, _) = house().await;
    let session = house.identity.role_session(&ROLE.parse().unwrap(), "f", Duration::from_secs(60)).unwrap();
    let found = house.identity.find(&session.access_key_id, Some(&session.session_token), house.world.now()).unwrap();
    assert_eq!(found.caller.arn, "arn:aws:sts::000000000000:assumed-role/worker/f");
    assert!(!format!("{session:?}").contains(&session.secret_access_key));
    let other = "arn:aws:iam::000000000000:role/path/worker".parse().unwrap();
    assert!(house.identity.role_session(&other, "f", Duration::from_secs(60)).is_err());
}

/// What a trust policy with this condition says to alice, who has the tag `team`.
async fn asked_under(condition: &str, input: &[(&str, &str)]) -> bool {
    let house = House::new().await;
    let tag = [("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "red")];
    house.ask::<CreateUserOp>(&[("UserName", "alice"), tag[0], tag[1]]).await.unwrap();
    let key = house.ask::<CreateAccessKeyOp>(&[("UserName", "alice")]).await.unwrap().access_key;
    let trust = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"000000000000"}},"Action":"sts:AssumeRole"}},
        {{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole","Condition":{condition}}}]}}"#
    );
    let role = [("RoleName", "worker"), ("AssumeRolePolicyDocument", trust.as_str()), tag[0], tag[1]];
    house.ask::<CreateRoleOp>(&role).await.unwrap();
    let alice = house.identity.find(&key.access_key_id, None, house.world.now()).unwrap().caller;
    let input = [&[("RoleArn", ROLE)], input].concat();
    match house.ask_as::<AssumeRoleOp>(&alice, &input).await {
        Ok(_) => true,
        denied => {
            assert_eq!(code(denied).0, "AccessDenied");
            false
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_condition_judges_who_assumes() {
    let name = [("RoleSessionName", "alice")];
    let with_id = [name[0], ("ExternalId", "x1")];
    for (condition, input, denied) in [
        (r#"{"StringNotEquals":{"sts:ExternalId":["x0","x1"]}}"#, &with_id[..], false),
        (r#"{"StringNotEquals":{"sts:ExternalId":"x2"}}"#, &with_id, true),
        (r#"{"StringNotEquals":{"sts:ExternalId":"x1"}}"#, &name, true),
        (r#"{"Null":{"sts:ExternalId":"true"}}"#, &name, true),
        (r#"{"Null":{"sts:ExternalId":"true"}}"#, &with_id, false),
        (r#"{"StringNotLike":{"sts:RoleSessionName":"${aws:username}*"}}"#, &name, false),
        (r#"{"StringNotLike":{"sts:RoleSessionName":"${aws:username}*"}}"#, &[("RoleSessionName", "bob")], true),
        (r#"{"NotIpAddress":{"aws:SourceIp":"127.0.0.0/8"}}"#, &name, false),
        (r#"{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}"#, &name, true),
        (r#"{"Bool":{"aws:SecureTransport":"false"}}"#, &name, true),
        (r#"{"DateLessThan":{"aws:CurrentTime":"1970-01-01"}}"#, &name, false),
        (r#"{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/a*"}}"#, &name, true),
        (r#"{"StringNotEquals":{"aws:PrincipalTag/team":"${aws:ResourceTag/Team}"}}"#, &name, false),
        (r#"{"StringEquals":{"iam:ResourceTag/team":"red"}}"#, &name, true),
        (r#"{"StringEquals":{"aws:PrincipalTag/team":"blue"}}"#, &name, false),
        (r#"{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}"#, &name, false),
    ] {
        assert_eq!(asked_under(condition, input).await, !denied, "{condition} {input:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_are_known_by_their_role() {
    let (house, alice) = house().await;
    let trust = TRUST.replace(r#"{"Service":"lambda.amazonaws.com"}"#, &format!(r#"{{"AWS":"{ROLE}"}}"#));
    house.ask::<CreateRoleOp>(&[("RoleName", "next"), ("AssumeRolePolicyDocument", &trust)]).await.unwrap();
    let session = house.identity.role_session(&ROLE.parse().unwrap(), "f", Duration::from_secs(60)).unwrap();
    let caller = house.identity.find(&session.access_key_id, Some(&session.session_token), house.world.now());
    let caller = caller.unwrap().caller;
    let next = [("RoleArn", "arn:aws:iam::000000000000:role/next"), ("RoleSessionName", "s2")];
    house.ask_as::<AssumeRoleOp>(&caller, &next).await.unwrap();
    assert_eq!(code(house.ask_as::<AssumeRoleOp>(&alice, &next).await).0, "AccessDenied");
}
