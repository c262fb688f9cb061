//! The asked door: Lambda's operations.

pub(crate) mod aliases;
pub(crate) mod concurrency;
pub(crate) mod configure;
pub(crate) mod event_invoke;
pub(crate) mod invoke;
pub(crate) mod invoke_stream;
pub(crate) mod layer_policy;
pub(crate) mod layers;
pub(crate) mod mappings;
pub(crate) mod permissions;
pub(crate) mod provisioned;
pub(crate) mod read;
pub(crate) mod recursion;
pub(crate) mod tags;
pub(crate) mod urls;
pub(crate) mod versions;

use crate::called::not_found;
use crate::state::{Function, State};
use names::Home;
use shapes::lambda::errors;
use wire::ApiError;

/// The changeable version of a function.
pub(crate) fn find<'a>(state: &'a State, home: &Home, name: &str) -> Result<&'a Function, ApiError> {
    state.functions.get(name).ok_or_else(|| not_found(&home.arn("lambda", &format!("function:{name}"))))
}

/// Something that the model allows and Lambda does not.
pub(crate) fn invalid(why: impl std::fmt::Display) -> ApiError {
    errors::INVALID_PARAMETER_VALUE_EXCEPTION.because(why.to_string())
}

/// One page of what is sorted by a text, and the marker of the next.
pub(crate) fn page<T>(
    all: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> String,
    after: Option<&str>,
    most: Option<i32>,
) -> (Vec<T>, Option<String>) {
    let size = usize::try_from(most.unwrap_or(crate::limits::PAGE).clamp(1, crate::limits::PAGE)).unwrap_or(1);
    let rest = all.into_iter().filter(|item| after.is_none_or(|after| key(item).as_str() > after));
    let mut found: Vec<T> = rest.take(size + 1).collect();
    let more = found.len() > size;
    found.truncate(size);
    let next = found.last().filter(|_| more).map(key);
    (found, next)
}

/// What sorts the versions of a function: the changeable one, then by number.
pub(crate) fn version_key(function: &Function) -> String {
    format!("{:0>20}", if function.is_latest() { "" } else { &function.version })
}

/// A setting that AWS serves and Headwater does not: refused by name, never stored and ignored.
pub(crate) fn not_served(setting: &str) -> ApiError {
    errors::INVALID_PARAMETER_VALUE_EXCEPTION.because(format!("Headwater does not serve {setting} yet."))
}

/// Refuses each listed setting that is there.
pub(crate) fn refuse(settings: &[(&str, bool)]) -> Result<(), ApiError> {
    match settings.iter().find(|(_, present)| *present) {
        Some((setting, _)) => Err(not_served(setting)),
        None => Ok(()),
    }
}

/// A revision id that is no longer the current one.
pub(crate) fn check_revision(current: &str, given: Option<&str>) -> Result<(), ApiError> {
    match given {
        Some(given) if given != current => Err(errors::PRECONDITION_FAILED_EXCEPTION.because(
            "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
        )),
        _ => Ok(()),
    }
}
