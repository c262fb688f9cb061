//! The asked door: Lambda's operations.

pub(crate) mod configure;
pub(crate) mod invoke;
pub(crate) mod mappings;
pub(crate) mod permissions;
pub(crate) mod read;

use crate::state::{Function, State};
use names::Home;
use shapes::lambda::errors;
use wire::ApiError;

/// A function's name as callers write it: `name`, `name:qualifier`, `account:function:name` or the whole ARN.
/// Gives the bare name; any version but `$LATEST` does not exist here.
pub(crate) fn bare_name(home: &Home, given: &str, qualifier: Option<&str>) -> Result<String, ApiError> {
    let parts: Vec<&str> = given.split(':').collect();
    if let ["arn", _, _, region, account, ..] = parts.as_slice() {
        reachable(home, given, region, account)?;
    }
    let (name, suffix) = match parts.as_slice() {
        [name] => (*name, None),
        [name, suffix] => (*name, Some(*suffix)),
        [_, "function", name] => (*name, None),
        [_, "function", name, suffix] => (*name, Some(*suffix)),
        ["arn", _, "lambda", _, _, "function", name] => (*name, None),
        ["arn", _, "lambda", _, _, "function", name, suffix] => (*name, Some(*suffix)),
        _ => return Err(errors::INVALID_PARAMETER_VALUE_EXCEPTION.because(format!("{given} is not a function"))),
    };
    match qualifier.or(suffix) {
        None | Some("$LATEST") => Ok(name.to_owned()),
        Some(version) => {
            let arn = home.arn("lambda", &format!("function:{name}:{version}"));
            Err(errors::RESOURCE_NOT_FOUND_EXCEPTION.because(format!("Function not found: {arn}")))
        }
    }
}

/// Functions are called in their own region; those of other accounts are none of ours.
fn reachable(home: &Home, given: &str, region: &str, account: &str) -> Result<(), ApiError> {
    let why = if region != home.region.as_str() {
        format!("Functions from '{region}' are not reachable in this region ('{}')", home.region)
    } else if account != home.account.as_str() {
        format!("Function not found: {given}")
    } else {
        return Ok(());
    };
    Err(errors::RESOURCE_NOT_FOUND_EXCEPTION.because(why))
}

/// The function of a name.
pub(crate) fn find<'a>(state: &'a State, home: &Home, name: &str) -> Result<&'a Function, ApiError> {
    state.functions.get(name).ok_or_else(|| {
        let arn = home.arn("lambda", &format!("function:{name}"));
        errors::RESOURCE_NOT_FOUND_EXCEPTION.because(format!("Function not found: {arn}"))
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_all_their_forms() {
        let home = Home::default();
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
        for given in ["f", "f:$LATEST", "000000000000:function:f", arn] {
            assert_eq!(bare_name(&home, given, None).unwrap(), "f", "{given}");
        }
        let error = bare_name(&home, "f:7", None).unwrap_err();
        assert_eq!(error.message, format!("Function not found: {arn}:7"));
        assert!(bare_name(&home, "f", Some("PROD")).is_err());
        for far in [arn.replace("us-east-1", "eu-west-1"), arn.replace("000000000000", "111111111111")] {
            assert!(bare_name(&home, &far, None).is_err(), "{far}");
        }
    }
}
