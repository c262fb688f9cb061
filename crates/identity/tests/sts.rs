//! STS's operations and the credentials they give.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod support;

use names::{Caller, CallerKind};
use shapes::iam::{CreateAccessKeyOp, CreateRoleOp, CreateUserOp, DeleteRoleOp};
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
async fn functions_get_sessions_of_their_role() {
    let (house, _) = house().await;
    let session = house.identity.role_session(&ROLE.parse().unwrap(), "f", Duration::from_secs(60)).unwrap();
    let found = house.identity.find(&session.access_key_id, Some(&session.session_token), house.world.now()).unwrap();
    assert_eq!(found.caller.arn, "arn:aws:sts::000000000000:assumed-role/worker/f");
    assert!(!format!("{session:?}").contains(&session.secret_access_key));
    let other = "arn:aws:iam::000000000000:role/path/worker".parse().unwrap();
    assert!(house.identity.role_session(&other, "f", Duration::from_secs(60)).is_err());
}
