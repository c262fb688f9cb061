//! One statement.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html>

use crate::PolicyError;
use crate::condition::{self, Condition};
use crate::kind::Kind;
use crate::principal::Principals;
use crate::request::Request;
use crate::text::{Reading, Template, fits};
use serde_json::{Map, Value};

const MEMBERS: [&str; 9] =
    ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

/// Those listed, or all others.
#[derive(Debug, Clone, PartialEq)]
struct Listed<T> {
    but: bool,
    those: T,
}

/// A statement that was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statement {
    pub(crate) sid: Option<String>,
    pub(crate) effect: Effect,
    principals: Listed<Principals>,
    actions: Listed<Vec<Template>>,
    /// Where there is none, a statement is about what its policy belongs to.
    resources: Option<Listed<Vec<Template>>>,
    conditions: Vec<Condition>,
}

impl Statement {
    /// `variables` is whether the document's version has them.
    pub(crate) fn parse(given: &Value, kind: Kind, variables: bool) -> Result<Statement, PolicyError> {
        let members = given.as_object().ok_or(PolicyError::NoStatement)?;
        if let Some(unknown) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
            return Err(PolicyError::Member(unknown.clone()));
        }
        if let Some(name) = kind.prohibited().iter().find(|name| members.contains_key(**name)) {
            return Err(PolicyError::Prohibited(name));
        }
        let sid = match members.get("Sid") {
            None => None,
            Some(Value::String(sid)) => Some(sid.clone()).filter(|sid| !sid.is_empty()),
            Some(_) => return Err(PolicyError::NotText("Sid")),
        };
        kind.check_sid(sid.as_deref().unwrap_or_default())?;
        let effect = match members.get("Effect").map(Value::as_str) {
            None => return Err(PolicyError::NoEffect),
            Some(Some("Allow")) => Effect::Allow,
            Some(Some("Deny")) => Effect::Deny,
            Some(_) => return Err(PolicyError::Effect),
        };
        Ok(Statement {
            sid,
            effect,
            principals: principals(members, kind, effect)?,
            actions: actions(members, kind)?,
            resources: resources(members, kind, variables)?,
            conditions: condition::parse(members.get("Condition"), kind, variables)?,
        })
    }

    /// Whether it applies to a request. What hangs on a variable without a value does not allow, and does deny.
    pub(crate) fn applies(&self, request: &Request<'_>) -> bool {
        let context = request.context();
        let action = request.action.to_ascii_lowercase();
        let acts = self.actions.those.iter().any(|pattern| pattern.fill(context).is_some_and(|p| fits(&p, &action)));
        let resource = self.resources.as_ref().map_or(Some(true), |listed| {
            let fitting = |pattern: &Template| pattern.fill(context).map(|p| fits(&p, request.resource));
            any(listed.those.iter().map(fitting)).map(|found| found != listed.but)
        });
        let unsure = self.effect == Effect::Deny;
        self.principals.those.name(&request.who) != self.principals.but
            && acts != self.actions.but
            && resource.unwrap_or(unsure)
            && self.conditions.iter().all(|condition| condition.holds(context).unwrap_or(unsure))
    }
}

/// Whether one is true; nothing where none is and one is not known.
fn any(mut all: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut open = false;
    let found = all.any(|one| {
        open |= one.is_none();
        one == Some(true)
    });
    if found { Some(true) } else { (!open).then_some(false) }
}

/// The one that is there, and whether it is the second; nothing where neither is.
fn either<'a>(
    members: &'a Map<String, Value>,
    those: &'static str,
    others: &str,
) -> Result<Option<(bool, &'a Value)>, PolicyError> {
    match (members.get(those), members.get(others)) {
        (Some(given), None) => Ok(Some((false, given))),
        (None, Some(given)) => Ok(Some((true, given))),
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(PolicyError::Both(those)),
    }
}

pub(crate) fn texts<'a>(value: &'a Value, name: &'static str) -> Result<Vec<&'a str>, PolicyError> {
    match value {
        Value::String(text) => Ok(vec![text.as_str()]),
        Value::Array(all) => all.iter().map(|item| item.as_str().ok_or(PolicyError::NotText(name))).collect(),
        _ => Err(PolicyError::NotText(name)),
    }
}

fn principals(members: &Map<String, Value>, kind: Kind, effect: Effect) -> Result<Listed<Principals>, PolicyError> {
    if kind == Kind::Identity {
        return Ok(Listed { but: false, those: Principals::Everybody });
    }
    let (but, given) = either(members, "Principal", "NotPrincipal")?.ok_or(PolicyError::NoPrincipal)?;
    let those = Principals::parse(given)?;
    let those = if kind == Kind::Trust && effect == Effect::Allow { those.without_services() } else { those };
    Ok(Listed { but, those })
}

fn actions(members: &Map<String, Value>, kind: Kind) -> Result<Listed<Vec<Template>>, PolicyError> {
    let (but, given) = either(members, "Action", "NotAction")?.ok_or(PolicyError::NoAction)?;
    let parse = |text: &str| {
        kind.check_action(text)?;
        Template::parse(&text.to_ascii_lowercase(), Reading { wild: true, variables: false })
    };
    let those = texts(given, "Action")?.into_iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    if those.is_empty() { Err(PolicyError::NoAction) } else { Ok(Listed { but, those }) }
}

fn resources(
    members: &Map<String, Value>,
    kind: Kind,
    variables: bool,
) -> Result<Option<Listed<Vec<Template>>>, PolicyError> {
    let Some((but, given)) = either(members, "Resource", "NotResource")? else {
        return if kind == Kind::Identity { Err(PolicyError::NoResource) } else { Ok(None) };
    };
    let parse = |text: &str| {
        kind.check_resource(text)?;
        Template::parse(text, Reading { wild: true, variables })
    };
    let those = texts(given, "Resource")?.into_iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    if those.is_empty() { Err(PolicyError::NoResource) } else { Ok(Some(Listed { but, those })) }
}
