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
use std::ops::{Bound, RangeBounds};
use wire::{ApiError, Call, page};

/// The changeable version of a function.
pub(crate) fn find<'a>(state: &'a State, home: &Home, name: &str) -> Result<&'a Function, ApiError> {
    state.functions.get(name).ok_or_else(|| not_found(&home.arn("lambda", &format!("function:{name}"))))
}

/// Something that the model allows and Lambda does not.
pub(crate) fn invalid(why: impl std::fmt::Display) -> ApiError {
    errors::INVALID_PARAMETER_VALUE_EXCEPTION.because(why.to_string())
}

/// One page of what is sorted by its texts, and the marker of the next. `of` is what has the list: a function, a layer, or
/// nothing where it is the account's.
pub(crate) fn page<T>(
    list: &Call,
    of: &str,
    all: impl Iterator<Item = (String, T)>,
    marker: Option<String>,
    asked: Option<i32>,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    page_of(crate::limits::PAGE, list, of, all, marker, asked)
}

/// The same with at most so many items.
pub(crate) fn page_of<T>(
    most: usize,
    list: &Call,
    of: &str,
    all: impl Iterator<Item = (String, T)>,
    marker: Option<String>,
    asked: Option<i32>,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let list = format!("{} of {of}", list.operation.name);
    let after =
        page::start(&list, marker.as_deref()).ok_or_else(|| invalid("The Marker was not given by this list."))?;
    let rest = (after, Bound::<String>::Unbounded);
    let rest = all.filter(|(key, _)| rest.contains(key));
    Ok(page::cut(&list, rest, page::size(asked, most), |_, item| Some(item)))
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
