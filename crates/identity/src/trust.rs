//! Trust policies: who may assume a role.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>

use crate::Identity;
use crate::condition::{self, like};
use crate::document::{Document, Effect, OneOrMany, Principals, Statement};
use crate::session::last_part;
use names::{Arn, Caller, CallerKind};

/// Who asks for a role.
pub(crate) enum Asker<'a> {
    Service(&'a str),
    Caller(&'a Caller),
}

/// Whether a trust policy lets the asker in: some statement allows it and none denies it. A statement whose conditions
/// cannot be judged neither allows nor, having named its principal, fails to deny.
pub(crate) fn may_assume(document: &Document, asker: &Asker<'_>, context: &[(&str, String)]) -> bool {
    let concerns = |statement: &&Statement| {
        let actions = statement.action.as_ref().map_or(&[][..], OneOrMany::as_slice);
        let action = actions.iter().any(|action| like(&action.to_ascii_lowercase(), "sts:assumerole"));
        action && statement.principal.as_ref().is_some_and(|principals| names(principals, asker))
    };
    let mut allowed = false;
    for statement in document.statement.as_slice().iter().filter(concerns) {
        match statement.effect {
            Some(Effect::Allow) => allowed |= condition::hold(&statement.condition, context),
            Some(Effect::Deny) | None => return false,
        }
    }
    allowed
}

fn names(principals: &Principals, asker: &Asker<'_>) -> bool {
    match (principals, asker) {
        (Principals::Everyone(star), Asker::Caller(_)) => star == "*",
        (Principals::Everyone(_), Asker::Service(_)) => false,
        (Principals::Kinds(kinds), Asker::Service(principal)) => {
            kinds.get("Service").is_some_and(|names| names.as_slice().iter().any(|name| name == principal))
        }
        (Principals::Kinds(kinds), Asker::Caller(caller)) => {
            kinds.get("AWS").is_some_and(|names| names.as_slice().iter().any(|name| is(name, caller)))
        }
    }
}

fn is(name: &str, caller: &Caller) -> bool {
    let account = caller.account.as_str();
    if name == "*" || name == account || name == caller.arn {
        return true;
    }
    if let CallerKind::AssumedRole { role_arn, .. } = &caller.kind
        && name == role_arn
    {
        return true;
    }
    name.parse::<Arn>().is_ok_and(|arn| arn.service() == "iam" && arn.account() == account && arn.resource() == "root")
}

/// Whether the role exists and its trust policy names the service.
pub(crate) fn service_may_assume(identity: &Identity, role: &Arn, principal: &str) -> bool {
    let context = [("aws:sourceaccount", identity.home.account.to_string())];
    identity.catalog.read(|state| {
        let found = role.resource_after("role/").and_then(|path| state.roles.get(last_part(path)));
        let found = found.filter(|found| identity.role_arn(found) == *role);
        let trust = found.and_then(|role| crate::document::parse(&role.trust).ok());
        trust.is_some_and(|trust| may_assume(&trust, &Asker::Service(principal), &context))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::check_trust;
    use names::Account;

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
