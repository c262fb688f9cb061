//! What a target is sent for an event: the event, a constant, a part of the event, or a filled template.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html>

mod template;
#[cfg(test)]
mod tests;

use crate::limits::INPUT_BYTES;
use crate::path::JsonPath;
use names::Timestamp;
use patterns::json;
use serde_json::Value;
use std::collections::BTreeMap;
use template::Template;

/// Entries of an InputPathsMap and characters of an InputTemplate:
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_InputTransformer.html>
pub const INPUT_PATHS_MAX: usize = 100;
/// See [`INPUT_PATHS_MAX`].
pub const TEMPLATE_CHARS_MAX: usize = 8192;

/// What a target is sent, compiled.
#[derive(Clone, Debug, Default)]
pub enum TargetInput {
    /// The event as it is.
    #[default]
    Matched,
    /// A constant JSON text.
    Constant(String),
    /// The part of the event at a path.
    Path(JsonPath),
    /// A filled template.
    Transformer(InputTransformer),
}

/// An InputTransformer, compiled.
#[derive(Clone, Debug)]
pub struct InputTransformer {
    template: Template,
}

/// A target's input as it is configured.
#[derive(Clone, Debug, Default)]
pub struct Configured<'a> {
    /// `Input`
    pub input: Option<&'a str>,
    /// `InputPath`
    pub input_path: Option<&'a str>,
    /// `InputTransformer`: its `InputPathsMap` and its `InputTemplate`.
    pub transformer: Option<(&'a BTreeMap<String, String>, &'a str)>,
}

/// An event on its way to a target.
#[derive(Clone, Copy, Debug)]
pub struct Matched<'a> {
    /// The event as JSON text.
    pub text: &'a str,
    /// The same, parsed.
    pub event: &'a Value,
    /// The rule it matched.
    pub rule_arn: &'a str,
    /// Its name.
    pub rule_name: &'a str,
    /// When the event was accepted.
    pub ingested: Timestamp,
}

/// What an event would become for a target is more than any target is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the target's input would be larger than {INPUT_BYTES} bytes")]
pub struct TooLarge;

/// Why a target's input is refused, in AWS's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// More than one of the three ways is set.
    #[error("Only one of Input, InputPath, or InputTransformer must be provided for target {target}.")]
    NotOne {
        /// The target's id.
        target: String,
    },
    /// `Input` is not JSON.
    #[error("JSON syntax error in input for target {target}")]
    NotJson {
        /// The target's id.
        target: String,
    },
    /// `InputPath` or a path of `InputPathsMap`.
    #[error("InputPath for target {target} is invalid.")]
    Path {
        /// The target's id.
        target: String,
    },
    /// The template, were its placeholders filled, would not be JSON.
    #[error("Invalid InputTemplate for target {target} : {place}")]
    Template {
        /// The target's id.
        target: String,
        /// Where, as AWS prints it.
        place: String,
    },
    /// A placeholder that nothing defines.
    #[error("InputTemplate for target {target} contains invalid placeholder {placeholder}.")]
    Placeholder {
        /// The target's id.
        target: String,
        /// Its name.
        placeholder: String,
    },
    /// A placeholder for a whole event in a template that is not a JSON object.
    #[error("InputTemplate for target {target} contains placeholder {placeholder} valid only for JSON template.")]
    OnlyInObjects {
        /// The target's id.
        target: String,
        /// Its name.
        placeholder: &'static str,
    },
    /// More entries or characters than AWS takes.
    #[error("InputTransformer for target {target} has more than {limit}")]
    TooLarge {
        /// The target's id.
        target: String,
        /// The limit and what it counts.
        limit: String,
    },
}

impl TargetInput {
    /// Compiles what is configured for the target with this id.
    pub fn compile(target: &str, configured: &Configured<'_>) -> Result<TargetInput, InputError> {
        match (configured.input, configured.input_path, configured.transformer) {
            (None, None, None) => Ok(TargetInput::Matched),
            (Some(input), None, None) => match json::check(input, false) {
                Ok(()) => Ok(TargetInput::Constant(input.to_owned())),
                Err(_) => Err(InputError::NotJson { target: target.to_owned() }),
            },
            (None, Some(path), None) => compile_path(target, path).map(TargetInput::Path),
            (None, None, Some((paths, template))) => {
                InputTransformer::compile(target, paths, template).map(TargetInput::Transformer)
            }
            _ => Err(InputError::NotOne { target: target.to_owned() }),
        }
    }

    /// The body the target is sent.
    pub fn apply(&self, matched: &Matched<'_>) -> Result<String, TooLarge> {
        Ok(match self {
            TargetInput::Matched => matched.text.to_owned(),
            TargetInput::Constant(input) => input.clone(),
            TargetInput::Path(path) => path.apply(matched.event).map_or("null".into(), |part| part.to_string()),
            TargetInput::Transformer(transformer) => transformer.template.fill(matched)?,
        })
    }
}

impl InputTransformer {
    /// Compiles the two parts of an InputTransformer.
    pub fn compile(
        target: &str,
        paths: &BTreeMap<String, String>,
        template: &str,
    ) -> Result<InputTransformer, InputError> {
        let too_large = |limit: String| InputError::TooLarge { target: target.to_owned(), limit };
        if paths.len() > INPUT_PATHS_MAX {
            return Err(too_large(format!("{INPUT_PATHS_MAX} entries in InputPathsMap")));
        }
        if template.chars().count() > TEMPLATE_CHARS_MAX {
            return Err(too_large(format!("{TEMPLATE_CHARS_MAX} characters in InputTemplate")));
        }
        let mut compiled = BTreeMap::new();
        for (name, path) in paths {
            compiled.insert(name.as_str(), compile_path(target, path)?);
        }
        Ok(InputTransformer { template: Template::compile(target, &compiled, template)? })
    }
}

/// AWS refuses names in quotes here, though it documents JSON path.
fn compile_path(target: &str, path: &str) -> Result<JsonPath, InputError> {
    match JsonPath::compile(path) {
        Ok(path) if !path.has_quoted_name() => Ok(path),
        _ => Err(InputError::Path { target: target.to_owned() }),
    }
}
