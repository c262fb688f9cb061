//! One statement.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html>

use crate::PolicyError;
use crate::condition::{self, Condition};
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
    /// `vendor` is the service whose actions it may name; `variables` whether the document's version has them.
    pub(crate) fn parse(given: &Value, vendor: &str, variables: bool) -> Result<Statement, PolicyError> {
        let members = given.as_object().ok_or(PolicyError::NoStatement)?;
        if let Some(unknown) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
            return Err(PolicyError::Member(unknown.clone()));
        }
        let sid = match members.get("Sid") {
            None => None,
            Some(Value::String(sid)) => Some(sid.clone()).filter(|sid| !sid.is_empty()),
            Some(_) => return Err(PolicyError::NotText("Sid")),
        };
        let effect = match members.get("Effect").and_then(Value::as_str) {
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            _ => return Err(PolicyError::Effect),
        };
        let (but, given) = either(members, "Principal", "NotPrincipal").ok_or(PolicyError::NoPrincipal)?;
        Ok(Statement {
            sid,
            effect,
            principals: Listed { but, those: Principals::parse(given)? },
            actions: actions(members, vendor)?,
            resources: resources(members, variables)?,
            conditions: condition::parse(members.get("Condition"), variables)?,
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

/// The one that is there, and whether it is the second.
fn either<'a>(members: &'a Map<String, Value>, those: &str, others: &str) -> Option<(bool, &'a Value)> {
    match (members.get(those), members.get(others)) {
        (Some(given), None) => Some((false, given)),
        (None, Some(given)) => Some((true, given)),
        _ => None,
    }
}

fn texts<'a>(value: &'a Value, name: &'static str) -> Result<Vec<&'a str>, PolicyError> {
    let all = match value {
        Value::String(text) => vec![text.as_str()],
        Value::Array(all) => {
            all.iter().map(|item| item.as_str().ok_or(PolicyError::NotText(name))).collect::<Result<_, _>>()?
        }
        _ => Vec::new(),
    };
    if all.is_empty() { Err(PolicyError::NotText(name)) } else { Ok(all) }
}

fn actions(members: &Map<String, Value>, vendor: &str) -> Result<Listed<Vec<Template>>, PolicyError> {
    let (but, given) = either(members, "Action", "NotAction").ok_or(PolicyError::NoAction)?;
    let parse = |text: &str| {
        let own = text.split_once(':').is_some_and(|(of, name)| of.eq_ignore_ascii_case(vendor) && !name.is_empty());
        if text != "*" && !own {
            return Err(PolicyError::Action(text.to_owned()));
        }
        Template::parse(&text.to_ascii_lowercase(), Reading { wild: true, variables: false })
    };
    let those = texts(given, "Action")?.into_iter().map(parse).collect::<Result<_, _>>()?;
    Ok(Listed { but, those })
}

fn resources(members: &Map<String, Value>, variables: bool) -> Result<Option<Listed<Vec<Template>>>, PolicyError> {
    if !members.contains_key("Resource") && !members.contains_key("NotResource") {
        return Ok(None);
    }
    let (but, given) = either(members, "Resource", "NotResource").ok_or(PolicyError::Resource)?;
    let parse = |text: &str| Template::parse(text, Reading { wild: true, variables });
    let those = texts(given, "Resource")?.into_iter().map(parse).collect::<Result<_, _>>()?;
    Ok(Some(Listed { but, those }))
}
