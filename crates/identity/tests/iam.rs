//! IAM's operations, asked in process.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod support;

use policies::Identities;
use shapes::iam::{
    AttachRolePolicyOp, AttachUserPolicyOp, CreateAccessKeyOp, CreatePolicyOp, CreateRoleOp, CreateUserOp,
    DeleteAccessKeyOp, DeletePolicyOp, DeleteRoleOp, DeleteUserOp, DeleteUserPolicyOp, DetachRolePolicyOp, GetPolicyOp,
    GetPolicyVersionOp, GetRoleOp, GetUserOp, GetUserPolicyOp, ListAccessKeysOp, ListAttachedRolePoliciesOp,
    ListInstanceProfilesForRoleOp, ListPoliciesOp, ListRolesOp, ListUserPoliciesOp, ListUsersOp, PutUserPolicyOp,
    StatusType, UpdateAccessKeyOp, UpdateAssumeRolePolicyOp,
};
use std::path::Path;
use support::{House, TRUST, code};
use wire::auth::{AuthError, Authenticator};
use world::Disk;

const ALLOW: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}"#;

#[tokio::test(start_paused = true)]
async fn a_user_comes_and_goes_with_keys() {
    let house = House::new().await;
    let alice = [("UserName", "alice")];
    let user = house.ask::<CreateUserOp>(&[("UserName", "alice"), ("Path", "/ops/")]).await.unwrap().user.unwrap();
    assert_eq!(user.arn, "arn:aws:iam::000000000000:user/ops/alice");
    assert!(user.user_id.starts_with("AIDA") && user.user_id.len() == 21, "{}", user.user_id);
    let again = code(house.ask::<CreateUserOp>(&[("UserName", "Alice")]).await);
    assert_eq!(again, ("EntityAlreadyExists", "User with name Alice already exists.".into()));

    let key = house.ask::<CreateAccessKeyOp>(&alice).await.unwrap().access_key;
    assert!(key.access_key_id.starts_with("AKIA") && key.access_key_id.len() == 20);
    assert_eq!(key.secret_access_key.len(), 40);
    let second = house.ask::<CreateAccessKeyOp>(&alice).await.unwrap().access_key;
    let third = code(house.ask::<CreateAccessKeyOp>(&alice).await);
    assert_eq!(third, ("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2".into()));

    let at = house.world.now();
    let principal = house.identity.find(&key.access_key_id, None, at).unwrap();
    assert_eq!(principal.secret, key.secret_access_key);
    assert_eq!(principal.caller.arn, user.arn);
    let me = house.ask_as::<GetUserOp>(&principal.caller, &[]).await.unwrap().user;
    assert_eq!(me.user_name, "alice");

    let id = key.access_key_id.as_str();
    house
        .ask::<UpdateAccessKeyOp>(&[("UserName", "alice"), ("AccessKeyId", id), ("Status", "Inactive")])
        .await
        .unwrap();
    assert_eq!(house.identity.find(id, None, at).unwrap_err(), AuthError::InactiveKey);
    let keys = house.ask::<ListAccessKeysOp>(&alice).await.unwrap().access_key_metadata;
    let inactive = keys.iter().filter(|key| key.status == Some(StatusType::Inactive)).count();
    assert_eq!((keys.len(), inactive), (2, 1));

    let conflict = code(house.ask::<DeleteUserOp>(&alice).await);
    assert_eq!(conflict, ("DeleteConflict", "Cannot delete entity, must delete access keys first.".into()));
    for id in [id, second.access_key_id.as_str()] {
        house.ask::<DeleteAccessKeyOp>(&[("UserName", "alice"), ("AccessKeyId", id)]).await.unwrap();
        assert_eq!(house.identity.find(id, None, at).unwrap_err(), AuthError::UnknownKey);
    }
    house.ask::<DeleteUserOp>(&alice).await.unwrap();
    let gone = code(house.ask::<GetUserOp>(&alice).await);
    assert_eq!(gone, ("NoSuchEntity", "The user with name alice cannot be found.".into()));
}

#[tokio::test(start_paused = true)]
async fn keys_survive_a_restart_and_their_secrets_are_not_in_the_journal() {
    let house = House::new().await;
    house.ask::<CreateUserOp>(&[("UserName", "alice")]).await.unwrap();
    let key = house.ask::<CreateAccessKeyOp>(&[("UserName", "alice")]).await.unwrap().access_key;
    let House { world, disk, store, identity } = house;
    store.close().await;
    drop((store, identity));
    disk.crash();
    let secret = key.secret_access_key.as_bytes();
    assert!(files_hold(&*disk, Path::new("/data"), key.access_key_id.as_bytes()), "the key itself is there");
    assert!(!files_hold(&*disk, Path::new("/data"), secret), "its secret is not");
    let house = House::open(world, disk).await;
    let principal = house.identity.find(&key.access_key_id, None, house.world.now()).unwrap();
    assert_eq!(principal.secret, key.secret_access_key);
    assert!(!format!("{principal:?}").contains(&key.secret_access_key));
}

fn files_hold(disk: &dyn Disk, dir: &Path, text: &[u8]) -> bool {
    disk.list(dir).unwrap().iter().any(|entry| {
        let path = dir.join(&entry.name);
        match entry.is_dir {
            true => files_hold(disk, &path, text),
            false => disk.read(&path).unwrap().windows(text.len()).any(|window| window == text),
        }
    })
}

#[tokio::test(start_paused = true)]
async fn roles_are_checked_and_shown_encoded() {
    let house = House::new().await;
    let role = |document: &'static str| [("RoleName", "worker"), ("AssumeRolePolicyDocument", document)];
    let bad = code(house.ask::<CreateRoleOp>(&role("{")).await);
    assert_eq!(bad, ("MalformedPolicyDocument", "This policy contains invalid Json".into()));
    let ghost = r#"{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"arn:aws:iam::000000000000:user/ghost"}}}"#;
    assert_eq!(code(house.ask::<CreateRoleOp>(&role(ghost)).await).0, "MalformedPolicyDocument");
    let boundary =
        [("RoleName", "w"), ("AssumeRolePolicyDocument", TRUST), ("PermissionsBoundary", "arn:aws:iam::aws:policy/x")];
    let refused = code(house.ask::<CreateRoleOp>(&boundary).await);
    assert!(refused.1.contains("PermissionsBoundary"), "{refused:?}");

    let made = house.ask::<CreateRoleOp>(&role(TRUST)).await.unwrap().role;
    assert_eq!(made.arn, "arn:aws:iam::000000000000:role/worker");
    let got = house.ask::<GetRoleOp>(&[("RoleName", "worker")]).await.unwrap().role;
    let document = got.assume_role_policy_document.unwrap();
    assert!(document.starts_with("%7B%22Version%22%3A%222012-10-17%22"), "{document}");
    let arn = made.arn.parse().unwrap();
    assert!(house.identity.trusts(&arn, "lambda.amazonaws.com", None));
    assert!(!house.identity.trusts(&arn, "events.amazonaws.com", None));
}

#[tokio::test(start_paused = true)]
async fn a_service_takes_a_role_on_for_what_its_trust_policy_names() {
    let house = House::new().await;
    let trust = |service: &str, source: &str| {
        format!(
            r#"{{"Statement":{{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{{"Service":"{service}"}},"Condition":{{
            "StringEquals":{{"aws:SourceAccount":"000000000000"}},"ArnLike":{{"aws:SourceArn":"{source}"}}}}}}}}"#
        )
    };
    let group = "arn:aws:scheduler:us-east-1:000000000000:schedule-group/nightly";
    let rule = "arn:aws:events:us-east-1:000000000000:rule/r";
    for (name, document) in
        [("of-group", trust("scheduler.amazonaws.com", group)), ("of-rule", trust("events.amazonaws.com", rule))]
    {
        let role = [("RoleName", name), ("AssumeRolePolicyDocument", document.as_str())];
        house.ask::<CreateRoleOp>(&role).await.unwrap();
    }
    let trusts = |role: &str, service: &str, whose: Option<&str>| {
        let role = format!("arn:aws:iam::000000000000:role/{role}").parse().unwrap();
        house.identity.trusts(&role, service, whose.map(|arn| arn.parse().unwrap()).as_ref())
    };
    let schedule = |group: &str| format!("arn:aws:scheduler:us-east-1:000000000000:schedule/{group}/s");
    assert!(trusts("of-group", "scheduler.amazonaws.com", Some(&schedule("nightly"))));
    assert!(!trusts("of-group", "scheduler.amazonaws.com", Some(&schedule("default"))));
    assert!(!trusts("of-group", "scheduler.amazonaws.com", None));
    assert!(trusts("of-rule", "events.amazonaws.com", Some(rule)));
    assert!(!trusts("of-rule", "events.amazonaws.com", Some("arn:aws:events:us-east-1:000000000000:rule/other")));
    assert!(!trusts("gone", "events.amazonaws.com", Some(rule)));
}

#[tokio::test(start_paused = true)]
async fn a_trust_policy_set_anew_acts_at_once_and_survives_a_crash() {
    let house = House::new().await;
    let made = house.ask::<CreateRoleOp>(&[("RoleName", "worker"), ("AssumeRolePolicyDocument", TRUST)]).await;
    let made = made.unwrap().role;
    let arn = made.arn.parse().unwrap();
    let trusts = |house: &House, service| house.identity.trusts(&arn, service, None);
    assert!(trusts(&house, "lambda.amazonaws.com"));
    let other = TRUST.replace("lambda", "pipes");
    for (document, lambda, pipes) in [(other.as_str(), false, true), (TRUST, true, false), (&other, false, true)] {
        let input = [("RoleName", "worker"), ("PolicyDocument", document)];
        house.ask::<UpdateAssumeRolePolicyOp>(&input).await.unwrap();
        assert_eq!((trusts(&house, "lambda.amazonaws.com"), trusts(&house, "pipes.amazonaws.com")), (lambda, pipes));
    }

    let House { world, disk, store, identity } = house;
    store.close().await;
    drop((store, identity));
    disk.crash();
    let house = House::open(world, disk).await;
    assert!(!trusts(&house, "lambda.amazonaws.com") && trusts(&house, "pipes.amazonaws.com"));
    let got = house.ask::<GetRoleOp>(&[("RoleName", "worker")]).await.unwrap().role;
    let document = got.assume_role_policy_document.unwrap();
    assert_eq!(percent_encoding::percent_decode_str(&document).decode_utf8().unwrap(), other);
    assert_eq!((got.role_id, got.create_date), (made.role_id, made.create_date), "it is the same role");
}

#[tokio::test(start_paused = true)]
async fn a_trust_policy_is_set_anew_as_carefully_as_it_was_made() {
    let house = House::new().await;
    let set = async |role: &str, document: &str| {
        let input = [("RoleName", role), ("PolicyDocument", document)];
        house.ask::<UpdateAssumeRolePolicyOp>(&input).await
    };
    let missing = code(set("worker", TRUST).await);
    assert_eq!(missing, ("NoSuchEntity", "The role with name worker cannot be found.".into()));
    let made = house.ask::<CreateRoleOp>(&[("RoleName", "worker"), ("AssumeRolePolicyDocument", TRUST)]).await;
    let arn = made.unwrap().role.arn;
    let trusts_lambda = || house.identity.trusts(&arn.parse().unwrap(), "lambda.amazonaws.com", None);
    let to = |who: &str| TRUST.replace(r#"{"Service":"lambda.amazonaws.com"}"#, &format!(r#"{{"AWS":"{who}"}}"#));
    let ghost = "arn:aws:iam::000000000000:user/ghost";
    for (document, why) in [
        ("{", "This policy contains invalid Json".to_owned()),
        (&TRUST.replace("sts:", "ec2:"), "AssumeRole policy may only specify STS AssumeRole actions.".into()),
        (&to(ghost), format!(r#"Invalid principal in policy: "AWS":"{ghost}""#)),
    ] {
        assert_eq!(code(set("worker", document).await), ("MalformedPolicyDocument", why));
    }
    let of_size = |size: usize| {
        let pad = "x".repeat(size - TRUST.len() - r#""Sid":"","#.len());
        // White space does not count.
        TRUST.replace(r#""Effect""#, &format!(r#"   "Sid":"{pad}","Effect""#))
    };
    let large = code(set("worker", &of_size(2049)).await);
    assert_eq!(large, ("LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048".into()));
    assert!(trusts_lambda(), "what is refused changes nothing");
    set("worker", &of_size(2048)).await.unwrap();
    // Once it is there, a role may name itself.
    set("worker", &to(&arn)).await.unwrap();
    assert!(!trusts_lambda());
}

#[tokio::test(start_paused = true)]
async fn policies_are_attached_inline_and_managed() {
    let house = House::new().await;
    house.ask::<CreateUserOp>(&[("UserName", "alice")]).await.unwrap();
    house.ask::<CreateRoleOp>(&[("RoleName", "worker"), ("AssumeRolePolicyDocument", TRUST)]).await.unwrap();
    let inline = [("UserName", "alice"), ("PolicyName", "p"), ("PolicyDocument", ALLOW)];
    house.ask::<PutUserPolicyOp>(&inline).await.unwrap();
    let got = house.ask::<GetUserPolicyOp>(&inline[..2]).await.unwrap();
    let decoded = percent_encoding::percent_decode_str(&got.policy_document).decode_utf8().unwrap();
    assert_eq!(decoded, ALLOW);
    assert_eq!(house.ask::<ListUserPoliciesOp>(&inline[..1]).await.unwrap().policy_names, ["p"]);
    let conflict = code(house.ask::<DeleteUserOp>(&inline[..1]).await);
    assert_eq!(conflict.1, "Cannot delete entity, must delete policies first.");
    house.ask::<DeleteUserPolicyOp>(&inline[..2]).await.unwrap();
    let gone = code(house.ask::<GetUserPolicyOp>(&inline[..2]).await);
    assert_eq!(gone, ("NoSuchEntity", "The user policy with name p cannot be found.".into()));
    let pad = "x".repeat(2100);
    let large = ALLOW.replace("ec2:*", &format!("ec2:{pad}"));
    let large = code(house.ask::<PutUserPolicyOp>(&[inline[0], inline[1], ("PolicyDocument", &large)]).await);
    assert_eq!(large, ("LimitExceeded", "Maximum policy size of 2048 bytes exceeded for user alice".into()));

    let made = house.ask::<CreatePolicyOp>(&[("PolicyName", "look"), ("PolicyDocument", ALLOW)]).await.unwrap();
    let arn = made.policy.unwrap().arn.unwrap();
    assert_eq!(arn, "arn:aws:iam::000000000000:policy/look");
    let basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";
    for arn in [arn.as_str(), basic, basic] {
        house.ask::<AttachRolePolicyOp>(&[("RoleName", "worker"), ("PolicyArn", arn)]).await.unwrap();
    }
    let none = "arn:aws:iam::aws:policy/None";
    let missing = code(house.ask::<AttachUserPolicyOp>(&[("UserName", "alice"), ("PolicyArn", none)]).await);
    assert_eq!(missing.1, format!("Policy {none} does not exist or is not attachable."));
    let attached = house.ask::<ListAttachedRolePoliciesOp>(&[("RoleName", "worker")]).await.unwrap();
    assert_eq!(attached.attached_policies.unwrap().len(), 2);
    let policy = house.ask::<GetPolicyOp>(&[("PolicyArn", &arn)]).await.unwrap().policy.unwrap();
    assert_eq!(policy.attachment_count, Some(1));
    let version = house.ask::<GetPolicyVersionOp>(&[("PolicyArn", &arn), ("VersionId", "v1")]).await.unwrap();
    assert!(version.policy_version.unwrap().document.unwrap().contains("%22ec2%3A%2A%22"));
    let own = house.ask::<ListPoliciesOp>(&[("Scope", "Local"), ("OnlyAttached", "true")]).await.unwrap();
    assert_eq!(own.policies.unwrap().len(), 1);
    assert_eq!(code(house.ask::<DeletePolicyOp>(&[("PolicyArn", &arn)]).await).0, "DeleteConflict");
    let conflict = code(house.ask::<DeleteRoleOp>(&[("RoleName", "worker")]).await);
    assert_eq!(conflict.1, "Cannot delete entity, must detach all policies first.");
    for arn in [arn.as_str(), basic] {
        house.ask::<DetachRolePolicyOp>(&[("RoleName", "worker"), ("PolicyArn", arn)]).await.unwrap();
    }
    house.ask::<DeletePolicyOp>(&[("PolicyArn", &arn)]).await.unwrap();
    house.ask::<DeleteRoleOp>(&[("RoleName", "worker")]).await.unwrap();
    assert_eq!(house.ask::<ListRolesOp>(&[]).await.unwrap().roles, []);
    let profiles = house.ask::<ListInstanceProfilesForRoleOp>(&[("RoleName", "nobody")]).await;
    assert_eq!(code(profiles).0, "NoSuchEntity");
}

#[tokio::test(start_paused = true)]
async fn lists_are_paged() {
    let house = House::new().await;
    for name in ["c", "a", "b"] {
        house.ask::<CreateUserOp>(&[("UserName", name)]).await.unwrap();
    }
    let first = house.ask::<ListUsersOp>(&[("MaxItems", "2")]).await.unwrap();
    let names = |users: &[shapes::iam::User]| users.iter().map(|user| user.user_name.clone()).collect::<Vec<_>>();
    assert_eq!((names(&first.users), first.is_truncated), (vec!["a".into(), "b".into()], Some(true)));
    let marker = first.marker.unwrap();
    let second = house.ask::<ListUsersOp>(&[("Marker", &marker)]).await.unwrap();
    assert_eq!((names(&second.users), second.is_truncated), (vec!["c".into()], Some(false)));
}

#[tokio::test(start_paused = true)]
async fn every_operation_of_the_model_has_a_handler() {
    let house = House::new().await;
    for service in house.identity.services() {
        let operations = service.model().operations.iter().filter(|entry| entry.model.is_some());
        assert_eq!(service.served(), operations.map(|entry| entry.name).collect::<Vec<_>>());
    }
}
