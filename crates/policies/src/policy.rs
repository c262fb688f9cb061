//! A whole document.

use crate::kind::Kind;
use crate::statement::{Effect, Statement};
use crate::{PolicyError, Request, strict};
use serde_json::{Map, Value, json};

const OLD: &str = "2008-10-17";
const NEW: &str = "2012-10-17";
const MEMBERS: [&str; 3] = ["Version", "Id", "Statement"];

/// A policy document that was read, checked and made ready to decide.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    kind: Kind,
    document: Map<String, Value>,
    statements: Vec<Statement>,
}

/// What a policy says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A statement allows it and none denies it.
    Allowed,
    /// A statement denies it.
    Denied,
    /// No statement is about it.
    Open,
}

impl Policy {
    /// Reads the policy of a resource of a service, such as `sqs`, or says what is wrong with it.
    pub fn parse(text: &str, vendor: &'static str) -> Result<Policy, PolicyError> {
        Policy::parse_as(text, Kind::Resource(vendor))
    }

    /// Reads a trust policy: who may assume a role. A star among those it allows is everybody but services.
    pub fn parse_trust(text: &str) -> Result<Policy, PolicyError> {
        Policy::parse_as(text, Kind::Trust)
    }

    /// Reads the policy of a user or a role: what whoever holds it may do.
    pub fn parse_identity(text: &str) -> Result<Policy, PolicyError> {
        Policy::parse_as(text, Kind::Identity)
    }

    fn parse_as(text: &str, kind: Kind) -> Result<Policy, PolicyError> {
        let policy = Policy::compile(strict::object(text)?, kind)?;
        if policy.statements.is_empty() { Err(PolicyError::NoStatement) } else { Ok(policy) }
    }

    fn compile(document: Map<String, Value>, kind: Kind) -> Result<Policy, PolicyError> {
        if let Some(unknown) = document.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
            return Err(PolicyError::Member(unknown.clone()));
        }
        let variables = match document.get("Version") {
            None => false,
            Some(Value::String(version)) if version == OLD => false,
            Some(Value::String(version)) if version == NEW => true,
            Some(_) => return Err(PolicyError::Version),
        };
        if document.get("Id").is_some_and(|id| !id.is_string()) {
            return Err(PolicyError::NotText("Id"));
        }
        let parse = |given: &Value| Statement::parse(given, kind, variables);
        let statements = listed(&document).into_iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let sids = || statements.iter().filter_map(|statement| statement.sid.as_deref());
        for (place, sid) in sids().enumerate() {
            if sids().take(place).any(|other| other == sid) {
                return Err(PolicyError::SidTwice(sid.to_owned()));
            }
        }
        Ok(Policy { kind, document, statements })
    }

    /// A policy with no statement yet.
    pub fn empty(vendor: &'static str) -> Policy {
        let mut document = Map::new();
        document.insert("Version".to_owned(), json!(NEW));
        document.insert("Statement".to_owned(), json!([]));
        Policy { kind: Kind::Resource(vendor), document, statements: Vec::new() }
    }

    /// The same with this `Version` and `Id`.
    pub fn with_head(self, version: &str, id: &str) -> Result<Policy, PolicyError> {
        let mut document = Map::new();
        document.insert("Version".to_owned(), json!(version));
        document.insert("Id".to_owned(), json!(id));
        document.extend(self.document.into_iter().filter(|(name, _)| name == "Statement"));
        Policy::compile(document, self.kind)
    }

    /// A policy that lets nobody in: what stands for one that no longer reads.
    pub fn nobody(vendor: &'static str) -> Policy {
        let denial = json!({"Effect": "Deny", "Principal": "*", "Action": "*"});
        Policy::empty(vendor).put(denial).unwrap_or_else(|_| unreachable!("the denial of everything was written down"))
    }

    /// The document; nothing where no statement is left.
    pub fn text(&self) -> Option<String> {
        (!self.statements.is_empty()).then(|| self.document())
    }

    /// The document, though no statement be left.
    pub fn document(&self) -> String {
        Value::Object(self.document.clone()).to_string()
    }

    pub(crate) fn members(&self) -> &Map<String, Value> {
        &self.document
    }

    /// How many statements it has.
    pub fn len(&self) -> usize {
        self.statements.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// Whether there is a statement of this id.
    pub fn has(&self, sid: &str) -> bool {
        self.statements.iter().any(|statement| statement.sid.as_deref() == Some(sid))
    }

    /// The principals of AWS that its statements name, as they are written.
    pub fn principals(&self) -> impl Iterator<Item = &str> {
        let statements = listed(&self.document).into_iter();
        let named = statements.flat_map(|it| [it.get("Principal"), it.get("NotPrincipal")]).flatten();
        named.filter_map(|principal| principal.get("AWS")).flat_map(|names| match names {
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect::<Vec<_>>(),
        })
    }

    /// Refuses a document that names somebody who is not there. One that was set while he was still acts.
    pub fn check_principals(&self, exists: impl Fn(&str) -> bool) -> Result<(), PolicyError> {
        match self.principals().find(|name| !exists(name)) {
            Some(name) => Err(PolicyError::NoSuchPrincipal(format!("\"AWS\":\"{name}\""))),
            None => Ok(()),
        }
    }

    /// The policy with one more statement; one of the same id makes room for it.
    pub fn put(&self, statement: Value) -> Result<Policy, PolicyError> {
        let kept = match statement["Sid"].as_str() {
            Some(sid) => self.without(sid),
            None => self.clone(),
        };
        kept.with(|all| all.push(statement))
    }

    /// The policy without the statement of this id.
    #[must_use]
    pub fn without(&self, sid: &str) -> Policy {
        self.with(|all| all.retain(|statement| statement["Sid"].as_str() != Some(sid)))
            .unwrap_or_else(|_| unreachable!("fewer statements were read before"))
    }

    fn with(&self, change: impl FnOnce(&mut Vec<Value>)) -> Result<Policy, PolicyError> {
        let mut all: Vec<Value> = listed(&self.document).into_iter().cloned().collect();
        change(&mut all);
        let mut document = self.document.clone();
        document.insert("Statement".to_owned(), Value::Array(all));
        Policy::compile(document, self.kind)
    }

    /// What it says of a request: a denial wins.
    pub fn decide(&self, request: &Request<'_>) -> Decision {
        let mut decision = Decision::Open;
        for statement in self.statements.iter().filter(|statement| statement.applies(request)) {
            match statement.effect {
                Effect::Deny => return Decision::Denied,
                Effect::Allow => decision = Decision::Allowed,
            }
        }
        decision
    }
}

pub(crate) fn listed(document: &Map<String, Value>) -> Vec<&Value> {
    match document.get("Statement") {
        Some(Value::Array(all)) => all.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    }
}
