//! AWS's policy language: documents that say who may do what with a resource, who may assume a role, and what a user or a role
//! may do; read, checked and decided. Its one home.
//!
//! Invariants: no I/O, no clock. What is taken can be judged: members, operators and values that are not known here are
//! refused by name when a document is read, and none is skipped when it is decided. A denial wins, nothing said is no.
//! What it is not: the evaluation of several policies together, permission boundaries or service control policies (identity
//! policies are read, and nobody asks them yet); a judge of which condition keys a service knows; its actions, a [`Form`] lists. A key that a request does not have is absent, as at AWS.
//! Entry points: [`Policy::parse`], [`Policy::parse_trust`], [`Policy::parse_identity`], [`Request`], [`admit`]; [`Identities`] is
//! the port to whoever knows which principals there are.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html> and
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

mod condition;
mod error;
mod form;
mod identities;
mod kind;
mod operator;
mod policy;
mod principal;
mod request;
mod statement;
mod strict;
mod text;
mod value;

pub use error::PolicyError;
pub use form::{Form, Unfit, share};
pub use identities::{AllBut, Identities};
pub use policy::{Decision, Policy};
pub use request::{Refusal, Request, Who, admit};
