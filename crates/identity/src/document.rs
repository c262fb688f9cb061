//! Policy documents: JSON, checked with IAM's own words.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>

use crate::condition::Conditions;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// A value or a list of them: the grammar allows both nearly everywhere.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    pub(crate) fn as_slice(&self) -> &[T] {
        match self {
            OneOrMany::One(item) => std::slice::from_ref(item),
            OneOrMany::Many(items) => items,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(crate) struct Document {
    version: Option<String>,
    #[serde(rename = "Id")]
    _id: Option<String>,
    pub(crate) statement: OneOrMany<Statement>,
}

#[derive(Debug, Deserialize, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(crate) struct Statement {
    sid: Option<String>,
    pub(crate) effect: Option<Effect>,
    pub(crate) principal: Option<Principals>,
    not_principal: Option<Principals>,
    pub(crate) action: Option<OneOrMany<String>>,
    not_action: Option<OneOrMany<String>>,
    resource: Option<OneOrMany<String>>,
    not_resource: Option<OneOrMany<String>>,
    #[serde(default)]
    pub(crate) condition: Conditions,
}

/// `"*"`, or kinds of principals (`AWS`, `Service`, `Federated`, ...) with their names.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Principals {
    Everyone(String),
    Kinds(BTreeMap<String, OneOrMany<String>>),
}

/// What is wrong with a document, as `MalformedPolicyDocument` says it.
pub(crate) type Complaint = String;

/// Parses a document and checks what all kinds have in common.
pub(crate) fn parse(text: &str) -> Result<Document, Complaint> {
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return Err("This policy contains invalid Json".into());
    }
    let document: Document = serde_json::from_str(text).map_err(|_| "Syntax errors in policy.".to_owned())?;
    if document.version.as_deref().is_some_and(|v| v != "2012-10-17" && v != "2008-10-17") {
        return Err("Policy document must be version 2012-10-17 or greater.".into());
    }
    let mut sids = BTreeSet::new();
    for statement in document.statement.as_slice() {
        check_statement(statement)?;
        if statement.sid.as_deref().is_some_and(|sid| !sid.is_empty() && !sids.insert(sid)) {
            return Err("Statement IDs (SID) in a single policy must be unique.".into());
        }
    }
    Ok(document)
}

fn check_statement(statement: &Statement) -> Result<(), Complaint> {
    if statement.effect.is_none() {
        return Err("Missing required field Effect".into());
    }
    if statement.sid.as_deref().is_some_and(|sid| !sid.bytes().all(|b| b.is_ascii_alphanumeric())) {
        let why = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*";
        return Err(why.into());
    }
    let actions = match (&statement.action, &statement.not_action) {
        (Some(actions), None) | (None, Some(actions)) => actions.as_slice(),
        (None, None) => return Err("Policy statement must contain actions.".into()),
        (Some(_), Some(_)) => return Err("Syntax errors in policy.".into()),
    };
    for action in actions {
        let vendor = action.split_once(':').map(|(vendor, name)| !vendor.is_empty() && !name.is_empty());
        if action != "*" && vendor != Some(true) {
            return Err("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.".into());
        }
    }
    Ok(())
}

/// A document for users, roles and managed policies: it names resources and no principal.
pub(crate) fn check_identity(text: &str) -> Result<(), Complaint> {
    for statement in parse(text)?.statement.as_slice() {
        if statement.principal.is_some() || statement.not_principal.is_some() {
            return Err("Policy document should not specify a principal.".into());
        }
        let resources = match (&statement.resource, &statement.not_resource) {
            (Some(resources), None) | (None, Some(resources)) => resources.as_slice(),
            (None, None) => return Err("Policy statement must contain resources.".into()),
            (Some(_), Some(_)) => return Err("Syntax errors in policy.".into()),
        };
        for resource in resources {
            if resource != "*" && !(resource.starts_with("arn:") && resource.splitn(6, ':').count() == 6) {
                return Err(format!("Resource {resource} must be in ARN format or \"*\"."));
            }
        }
    }
    Ok(())
}

/// A trust policy: it names principals and no resource, and allows STS actions only.
pub(crate) fn check_trust(text: &str) -> Result<Document, Complaint> {
    let document = parse(text)?;
    for statement in document.statement.as_slice() {
        if statement.resource.is_some() || statement.not_resource.is_some() {
            return Err("Has prohibited field Resource".into());
        }
        if statement.not_principal.is_some() {
            return Err("Has prohibited field NotPrincipal".into());
        }
        if statement.not_action.is_some() {
            return Err("AssumeRole policy may only specify STS AssumeRole actions.".into());
        }
        let Some(principals) = &statement.principal else {
            return Err("Missing required field Principal".into());
        };
        check_principals(principals)?;
        let actions = statement.action.as_ref().map_or(&[][..], OneOrMany::as_slice);
        if actions.iter().any(|action| !action.to_ascii_lowercase().starts_with("sts:")) {
            return Err("AssumeRole policy may only specify STS AssumeRole actions.".into());
        }
    }
    Ok(document)
}

fn check_principals(principals: &Principals) -> Result<(), Complaint> {
    match principals {
        Principals::Everyone(star) if star == "*" => Ok(()),
        Principals::Everyone(other) => Err(format!("Invalid principal in policy: {other:?}")),
        Principals::Kinds(kinds) => {
            for (kind, names) in kinds {
                let fine = |name: &String| match kind.as_str() {
                    "AWS" => is_aws_principal(name),
                    "Service" => name.contains('.'),
                    "Federated" | "CanonicalUser" => !name.is_empty(),
                    _ => false,
                };
                if let Some(bad) = names.as_slice().iter().find(|name| !fine(name)) {
                    return Err(invalid_principal(kind, bad));
                }
            }
            Ok(())
        }
    }
}

pub(crate) fn invalid_principal(kind: &str, name: &str) -> Complaint {
    format!("Invalid principal in policy: \"{kind}\":\"{name}\"")
}

fn is_aws_principal(name: &str) -> bool {
    name == "*"
        || (name.len() == 12 && name.bytes().all(|b| b.is_ascii_digit()))
        || name.parse::<names::Arn>().is_ok_and(|arn| matches!(arn.service(), "iam" | "sts"))
}

/// A document's length as IAM counts it: white space aside.
pub(crate) fn size(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn identity_documents_are_checked_in_iams_words() {
        let check = |text: &str| check_identity(text).err().unwrap_or_default();
        let good = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ec2:*","Resource":"*"}}"#;
        assert_eq!(check(good), "");
        assert_eq!(check("{"), "This policy contains invalid Json");
        assert_eq!(check("{}"), "Syntax errors in policy.");
        assert_eq!(check(&good.replace("2012", "2015")), "Policy document must be version 2012-10-17 or greater.");
        assert_eq!(check(&good.replace("Allow", "Permit")), "Syntax errors in policy.");
        assert_eq!(
            check(&good.replace("ec2:*", "ec2")),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
        );
        assert_eq!(check(&good.replace(r#","Resource":"*""#, "")), "Policy statement must contain resources.");
        assert_eq!(check(&good.replace(r#""*""#, r#""x""#)), "Resource x must be in ARN format or \"*\".");
        let principal = good.replace(r#""Effect""#, r#""Principal":"*","Effect""#);
        assert_eq!(check(&principal), "Policy document should not specify a principal.");
    }

    #[test]
    fn trust_policies_are_checked_in_iams_words() {
        let check = |text: &str| check_trust(text).err().unwrap_or_default();
        let good = r#"{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"lambda.amazonaws.com"}}]}"#;
        assert_eq!(check(good), "");
        assert_eq!(
            check(&good.replace("sts:AssumeRole", "ec2:Run")),
            "AssumeRole policy may only specify STS AssumeRole actions."
        );
        assert_eq!(
            check(&good.replace(r#""Service":"lambda.amazonaws.com""#, r#""AWS":"alice""#)),
            r#"Invalid principal in policy: "AWS":"alice""#
        );
        assert_eq!(check(&good.replace(r#""Effect""#, r#""Resource":"*","Effect""#)), "Has prohibited field Resource");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = check_identity(&text);
            let _ = check_trust(&text);
        }
    }
}
