//! How a function is called: its name, and which version or alias of it. Pure.
//! <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>, `FunctionName` and `Qualifier`

use crate::state::{Alias, Function, LATEST, State};
use names::{Arn, Home};
use shapes::lambda::errors;
use wire::ApiError;

/// A function as a caller names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Called {
    /// Its name.
    pub(crate) name: String,
    /// `$LATEST`, a version's number or an alias, where one was given.
    pub(crate) qualifier: Option<String>,
}

/// What stands behind that.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The configuration to use.
    pub(crate) function: Function,
    /// The qualifier it was called by.
    pub(crate) qualifier: Option<String>,
    /// The ARN it was called by.
    pub(crate) arn: Arn,
}

impl Called {
    /// Reads `name`, `name:qualifier`, `account:function:name` or an ARN, each perhaps with a qualifier.
    pub(crate) fn parse(home: &Home, given: &str, qualifier: Option<&str>) -> Result<Called, ApiError> {
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
        if let (Some(suffix), Some(qualifier)) = (suffix, qualifier)
            && suffix != qualifier
        {
            return Err(errors::INVALID_PARAMETER_VALUE_EXCEPTION
                .because("The derived qualifier from the function name does not match the specified qualifier."));
        }
        Ok(Called { name: name.to_owned(), qualifier: qualifier.or(suffix).map(str::to_owned) })
    }

    /// A function where only the whole of it makes sense; `$LATEST` is that, too.
    pub(crate) fn whole(home: &Home, given: &str) -> Result<String, ApiError> {
        let called = Called::parse(home, given, None)?;
        match called.qualifier.as_deref() {
            None | Some(LATEST) => Ok(called.name),
            Some(_) => Err(errors::INVALID_PARAMETER_VALUE_EXCEPTION
                .because("This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify either a function name or an unqualified function ARN.")),
        }
    }

    /// The ARN it is called by.
    pub(crate) fn arn(&self, home: &Home) -> Arn {
        home.arn("lambda", &format!("function:{self}"))
    }

    /// The qualifier that settings are kept under.
    pub(crate) fn door(&self) -> &str {
        self.qualifier.as_deref().unwrap_or(LATEST)
    }

    /// The ARN with the qualifier that settings are kept under.
    pub(crate) fn door_arn(&self, home: &Home) -> Arn {
        home.arn("lambda", &format!("function:{}:{}", self.name, self.door()))
    }

    /// Looks it up. `draw` decides between the versions of an alias: the same draw, the same version.
    pub(crate) fn find(&self, state: &State, home: &Home, draw: &str) -> Result<Found, ApiError> {
        let refuse = || not_found(&self.arn(home));
        let qualifier = self.qualifier.as_deref();
        let version = match state.alias(&self.name, qualifier.unwrap_or(LATEST)) {
            Some(alias) => pick(alias, draw),
            None => qualifier.unwrap_or(LATEST),
        };
        let function = state.version(&self.name, version).ok_or_else(refuse)?.clone();
        Ok(Found { function, qualifier: self.qualifier.clone(), arn: self.arn(home) })
    }
}

impl std::fmt::Display for Called {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        self.qualifier.as_ref().map_or(Ok(()), |qualifier| write!(f, ":{qualifier}"))
    }
}

pub(crate) fn not_found(arn: &Arn) -> ApiError {
    errors::RESOURCE_NOT_FOUND_EXCEPTION.because(format!("Function not found: {arn}"))
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

/// The version an alias sends an invocation to. A retried event goes to the same version again, as its id draws.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html>
fn pick<'a>(alias: &'a Alias, draw: &str) -> &'a str {
    // FNV-1a: https://datatracker.ietf.org/doc/html/rfc9923; then its high bits as a share of one.
    let hash = draw.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut share = (mixed >> 11) as f64 / (1u64 << 53) as f64;
    for (version, weight) in &alias.weights {
        if share < *weight {
            return version;
        }
        share -= weight;
    }
    &alias.version
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn names_in_all_their_forms() {
        let home = Home::default();
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
        for given in ["f", "000000000000:function:f", arn] {
            assert_eq!(Called::parse(&home, given, None).unwrap().to_string(), "f", "{given}");
            assert_eq!(Called::parse(&home, given, Some("7")).unwrap().to_string(), "f:7", "{given}");
            let called = Called::parse(&home, &format!("{given}:PROD"), None).unwrap();
            assert_eq!(called.arn(&home).as_str(), format!("{arn}:PROD"));
        }
        assert!(Called::parse(&home, "f:7", Some("8")).is_err());
        assert_eq!(Called::whole(&home, "f:$LATEST").unwrap(), "f");
        assert!(Called::whole(&home, "f:PROD").is_err());
        for far in [arn.replace("us-east-1", "eu-west-1"), arn.replace("000000000000", "111111111111")] {
            assert!(Called::parse(&home, &far, None).is_err(), "{far}");
        }
    }

    #[test]
    fn an_alias_divides_by_weight_and_decides_the_same_twice() {
        let weights = BTreeMap::from([("2".to_owned(), 0.25)]);
        let alias = Alias {
            name: "live".into(),
            version: "1".into(),
            description: String::new(),
            weights,
            revision: String::new(),
        };
        let draws: Vec<String> = (0..10_000).map(|i| format!("{i:08}-0000-4000-8000-{:012}", i * 7919)).collect();
        let second = draws.iter().filter(|draw| pick(&alias, draw) == "2").count();
        assert!((2200..2800).contains(&second), "{second}");
        assert!(draws.iter().all(|draw| pick(&alias, draw) == pick(&alias, draw)));
        let all = Alias { weights: BTreeMap::from([("2".to_owned(), 1.0)]), ..alias };
        assert_eq!(pick(&all, "x"), "2");
    }
}
