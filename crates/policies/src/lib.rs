//! AWS's policy language: documents that say who may do what with a resource, read, checked and decided. Its one home.
//!
//! Invariants: no I/O, no clock. What is taken can be judged: members, operators and values that are not known here are
//! refused by name when a document is read, and none is skipped when it is decided. A denial wins, nothing said is no.
//! What it is not: an evaluator of identity policies, permission boundaries or service control policies; a judge of which
//! actions and condition keys a service knows. A key that a request does not have is absent, as at AWS.
//! Entry points: [`Policy::parse`], [`Request`], [`admit`].
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html> and
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

mod condition;
mod error;
mod operator;
mod policy;
mod principal;
mod request;
mod statement;
mod strict;
mod text;
mod value;

pub use error::PolicyError;
pub use policy::{Decision, Policy};
pub use request::{Refusal, Request, Who, admit};
