//! Trust policies: who may assume a role.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>

use crate::Identity;
use crate::session::last_part;
use crate::state::{Role, State, Tags};
use names::{Arn, Caller, CallerKind};
use policies::{Decision, Request, Who};
use shapes::sts::AssumeRoleRequest;
use wire::Call;

const ASSUME: &str = "sts:AssumeRole";

/// Whether a caller may assume a role.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-sts>
pub(crate) fn caller_may_assume(identity: &Identity, role: &Role, call: &Call, input: &AssumeRoleRequest) -> bool {
    let arn = identity.role_arn(role).to_string();
    let request = Request::new(Who::Caller(&call.caller), ASSUME, &arn, &identity.home.account)
        .asked(call.source_ip, call.tls, &call.user_agent, call.at)
        .with("sts:RoleSessionName", input.role_session_name.as_str());
    let request = match &input.external_id {
        Some(id) => request.with("sts:ExternalId", id.as_str()),
        None => request,
    };
    let theirs = identity.catalog.read(|state| tags_of(state, &call.caller));
    let request = theirs
        .iter()
        .fold(request, |request, (name, value)| request.with(format!("aws:PrincipalTag/{name}"), value.as_str()));
    let request = role.tags.iter().fold(request, |request, (name, value)| {
        let request = request.with(format!("aws:ResourceTag/{name}"), value.as_str());
        request.with(format!("iam:ResourceTag/{name}"), value.as_str())
    });
    lets_in(role, &request)
}

/// Tags of users, and of the roles whose sessions ask.
fn tags_of(state: &State, caller: &Caller) -> Tags {
    let tags = match &caller.kind {
        CallerKind::User { name } => state.users.get(name).map(|user| &user.tags),
        CallerKind::AssumedRole { role, .. } => state.roles.get(role).map(|role| &role.tags),
        _ => None,
    };
    tags.cloned().unwrap_or_default()
}

/// Whether the role exists and its trust policy lets the service in.
pub(crate) fn service_may_assume(identity: &Identity, role: &Arn, principal: &str, whose: Option<&Arn>) -> bool {
    let account = &identity.home.account;
    let source = whose.map(source);
    let request = Request::new(Who::Service(principal), ASSUME, role.as_str(), account)
        .sent(source.as_ref(), identity.world.now());
    let request = if source.is_none() { request.with("aws:SourceAccount", account.as_str()) } else { request };
    identity.catalog.read(|state| {
        let found = role.resource_after("role/").and_then(|path| state.roles.get(last_part(path)));
        found.is_some_and(|found| identity.role_arn(found) == *role && lets_in(found, &request))
    })
}

/// What a service names as its reason to take a role on: the scheduler names a schedule's group.
/// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html>
fn source(whose: &Arn) -> Arn {
    let group = whose.resource_after("schedule/").and_then(|key| key.split_once('/'));
    match group.filter(|_| whose.service() == "scheduler") {
        Some((group, _)) => Arn::new("scheduler", whose.region(), whose.account(), &format!("schedule-group/{group}")),
        None => whose.clone(),
    }
}

/// At a role's door those of the account need a statement, too.
fn lets_in(role: &Role, request: &Request<'_>) -> bool {
    role.trusts().is_some_and(|policy| policy.decide(request) == Decision::Allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::check_trust;
    use names::Account;
    use policies::Policy;

    enum Asker<'a> {
        Service(&'a str),
        Caller(&'a Caller),
    }

    fn may_assume(policy: &Policy, asker: &Asker<'_>, context: &[(&str, String)]) -> bool {
        let owner = Account::parse("123456789012").unwrap();
        let who = match asker {
            Asker::Service(principal) => Who::Service(principal),
            Asker::Caller(caller) => Who::Caller(caller),
        };
        let request = Request::new(who, ASSUME, "arn:aws:iam::123456789012:role/r", &owner);
        let request = context.iter().fold(request, |request, (key, value)| request.with(*key, value.as_str()));
        policy.decide(&request) == Decision::Allowed
    }

    fn user(name: &str) -> Caller {
        Caller {
            kind: CallerKind::User { name: name.into() },
            account: Account::parse("123456789012").unwrap(),
            arn: format!("arn:aws:iam::123456789012:user/{name}"),
            principal_id: "AIDA".into(),
            access_key_id: "AKIA".into(),
        }
    }

    fn asked(principal: &str, extra: &str, asker: &Asker<'_>) -> bool {
        let text = format!(
            r#"{{"Statement":[{{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{principal}{extra}}}]}}"#
        );
        may_assume(&check_trust(&text).unwrap(), asker, &[("sts:externalid", "42".into())])
    }

    #[test]
    fn principals_are_matched_by_kind() {
        let (alice, lambda) = (user("alice"), Asker::Service("lambda.amazonaws.com"));
        let alice = Asker::Caller(&alice);
        assert!(asked(r#""*""#, "", &alice));
        assert!(asked(r#"{"AWS":"123456789012"}"#, "", &alice));
        assert!(asked(r#"{"AWS":["arn:aws:iam::123456789012:root"]}"#, "", &alice));
        assert!(asked(r#"{"AWS":"arn:aws:iam::123456789012:user/alice"}"#, "", &alice));
        assert!(!asked(r#"{"AWS":"arn:aws:iam::123456789012:user/bob"}"#, "", &alice));
        assert!(!asked(r#"{"AWS":"arn:aws:iam::999999999999:root"}"#, "", &alice));
        assert!(!asked(r#"{"Service":"lambda.amazonaws.com"}"#, "", &alice));
        assert!(asked(r#"{"Service":["events.amazonaws.com","lambda.amazonaws.com"]}"#, "", &lambda));
        assert!(!asked(r#"{"Service":"events.amazonaws.com"}"#, "", &lambda));
        assert!(!asked(r#"{"AWS":"*"}"#, "", &lambda));
    }

    #[test]
    fn conditions_narrow() {
        let alice = user("alice");
        let alice = Asker::Caller(&alice);
        let condition = |id: &str| format!(r#","Condition":{{"StringEquals":{{"sts:ExternalId":"{id}"}}}}"#);
        assert!(asked(r#""*""#, &condition("42"), &alice));
        assert!(!asked(r#""*""#, &condition("43"), &alice));
    }

    #[test]
    fn a_denial_wins() {
        let text = r#"{"Statement":[
            {"Effect":"Allow","Action":"sts:AssumeRole","Principal":"*"},
            {"Effect":"Deny","Action":"sts:*","Principal":{"AWS":"arn:aws:iam::123456789012:user/eve"}}]}"#;
        let document = check_trust(text).unwrap();
        assert!(may_assume(&document, &Asker::Caller(&user("alice")), &[]));
        assert!(!may_assume(&document, &Asker::Caller(&user("eve")), &[]));
    }
}
