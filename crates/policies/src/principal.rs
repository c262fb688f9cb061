//! Whom a statement is about.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>

use crate::PolicyError;
use crate::request::Who;
use names::{Arn, CallerKind};
use serde_json::Value;

/// Everybody, or those who are named.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Principals {
    Everybody,
    Named(Vec<Name>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Name {
    Everybody,
    /// Everybody but services.
    Identities,
    /// All of an account.
    Account(String),
    /// A user, a role or a session, by ARN.
    Identity(String),
    /// A user or a role by its unique id.
    Id(String),
    Service(String),
    /// Somebody of another kind, who does not come here.
    Other,
}

impl Principals {
    pub(crate) fn parse(given: &Value) -> Result<Principals, PolicyError> {
        let wrong = |value: &Value| PolicyError::Principal(value.to_string());
        let kinds = match given {
            Value::String(star) if star == "*" => return Ok(Principals::Everybody),
            Value::Object(kinds) if !kinds.is_empty() => kinds,
            other => return Err(wrong(other)),
        };
        let mut all = Vec::new();
        for (kind, given) in kinds {
            let names = match given {
                Value::Array(names) if !names.is_empty() => names.as_slice(),
                Value::String(_) => std::slice::from_ref(given),
                other => return Err(wrong(other)),
            };
            for name in names {
                let read = name.as_str().and_then(|text| Name::parse(kind, text));
                all.push(read.ok_or_else(|| PolicyError::Principal(format!("\"{kind}\":{name}")))?);
            }
        }
        Ok(Principals::Named(all))
    }

    /// The same, where a star is no service: a role is assumed by the services that it names.
    pub(crate) fn without_services(self) -> Principals {
        let narrow = |name| if name == Name::Everybody { Name::Identities } else { name };
        Principals::Named(match self {
            Principals::Everybody => vec![Name::Identities],
            Principals::Named(names) => names.into_iter().map(narrow).collect(),
        })
    }

    pub(crate) fn name(&self, who: &Who<'_>) -> bool {
        match self {
            Principals::Everybody => true,
            Principals::Named(names) => names.iter().any(|name| name.is(who)),
        }
    }
}

impl Name {
    fn parse(kind: &str, text: &str) -> Option<Name> {
        match kind {
            "AWS" if text == "*" => Some(Name::Everybody),
            "AWS" if is_account(text) => Some(Name::Account(text.to_owned())),
            "AWS" if is_id(text) => Some(Name::Id(text.to_owned())),
            "AWS" => {
                let arn: Arn = text.parse().ok()?;
                let sound = matches!(arn.service(), "iam" | "sts") && is_account(arn.account());
                match (arn.service(), arn.resource()) {
                    // Only the whole of the accounts can be named with a star.
                    _ if !sound || text.contains(['*', '?']) => None,
                    ("iam", "root") => Some(Name::Account(arn.account().to_owned())),
                    _ => Some(Name::Identity(text.to_owned())),
                }
            }
            "Service" if text == "*" => None,
            "Service" => {
                (text.contains('.') && !text.contains(char::is_whitespace)).then(|| Name::Service(text.to_owned()))
            }
            "Federated" | "CanonicalUser" => (!text.is_empty()).then_some(Name::Other),
            _ => None,
        }
    }

    fn is(&self, who: &Who<'_>) -> bool {
        if *self == Name::Everybody {
            return true;
        }
        match who.inner() {
            Who::Service(service) => matches!(self, Name::Service(name) if name == service),
            Who::Role(role) => match self {
                Name::Identities => true,
                Name::Account(account) => account == role.account(),
                Name::Identity(arn) => arn == role.as_str(),
                _ => false,
            },
            Who::Caller(caller) if caller.kind == CallerKind::Anonymous => false,
            Who::Caller(caller) => match self {
                Name::Identities => true,
                Name::Account(account) => account == caller.account.as_str(),
                Name::Identity(arn) => {
                    let role = matches!(&caller.kind, CallerKind::AssumedRole { role_arn, .. } if role_arn == arn);
                    role || *arn == caller.arn
                }
                Name::Id(id) => caller.principal_id.split(':').next() == Some(id.as_str()),
                _ => false,
            },
        }
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// What IAM shows of users and roles that are gone.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>
fn is_id(text: &str) -> bool {
    let kind = ["AIDA", "AROA"].into_iter().any(|prefix| text.starts_with(prefix));
    kind && text.len() >= 16 && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}
