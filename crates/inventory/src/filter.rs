//! Filters: all of them must fit, each by one of its values; `*` and `?` are wildcards, a backslash makes them plain.
//! Source: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html>

use crate::error::{FILTER_LIMIT, INVALID_VALUE};
use crate::limits::FILTER_VALUES;
use shapes::ec2::Filter;
use wire::ApiError;

/// Checked filters.
#[derive(Debug)]
pub(crate) struct Filters(Vec<(String, Vec<Pattern>)>);

impl Filters {
    /// Takes filters whose names are `known`.
    pub(crate) fn new(filters: Option<Vec<Filter>>, known: fn(&str) -> bool) -> Result<Filters, ApiError> {
        let mut out = Vec::new();
        for filter in filters.unwrap_or_default() {
            let name = filter.name.unwrap_or_default();
            if !known(&name) {
                return Err(INVALID_VALUE.because(format!("The filter '{name}' is invalid")));
            }
            let values = filter.values.unwrap_or_default();
            if values.is_empty() {
                return Err(INVALID_VALUE.because(format!("The filter '{name}' has no values")));
            }
            out.push((name, values.iter().map(|value| Pattern::new(value)).collect::<Vec<_>>()));
        }
        if out.iter().map(|(_, values)| values.len()).sum::<usize>() > FILTER_VALUES {
            let why = format!("The maximum number of filter values specified on a single call is {FILTER_VALUES}");
            return Err(FILTER_LIMIT.because(why));
        }
        Ok(Filters(out))
    }

    /// Whether a thing fits; `values` gives what it has under a filter's name.
    pub(crate) fn fit(&self, values: impl Fn(&str) -> Vec<String>) -> bool {
        self.0.iter().all(|(name, patterns)| {
            let values = values(name);
            patterns.iter().any(|pattern| values.iter().any(|value| pattern.fits(value)))
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Char(char),
    One,
    Any,
}

#[derive(Debug)]
struct Pattern(Vec<Part>);

impl Pattern {
    fn new(text: &str) -> Pattern {
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '*' => Part::Any,
                '?' => Part::One,
                '\\' => Part::Char(chars.next().unwrap_or('\\')),
                c => Part::Char(c),
            });
        }
        Pattern(parts)
    }

    /// Backtracks to the latest star only, so that it takes at most text times pattern steps.
    fn fits(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut p, mut t) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            match self.0.get(p) {
                Some(Part::Any) => {
                    star = Some((p, t));
                    p += 1;
                }
                Some(part) if *part == Part::One || *part == Part::Char(text[t]) => {
                    p += 1;
                    t += 1;
                }
                _ => {
                    let Some((at, from)) = star else { return false };
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
            }
        }
        self.0[p..].iter().all(|part| *part == Part::Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_and_their_escape() {
        for (pattern, text, expected) in [
            ("Production", "Production", true),
            ("production", "Production", false),
            ("Prod*", "Production", true),
            ("*tion", "Production", true),
            ("P?oduction", "Production", true),
            ("a\\*c", "abc", false),
            ("a\\*c", "a*c", true),
            ("", "", true),
            ("*", "", true),
        ] {
            assert_eq!(Pattern::new(pattern).fits(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn filters_are_and_values_are_or() {
        let filter = |name: &str, values: &[&str]| Filter {
            name: Some(name.into()),
            values: Some(values.iter().map(|v| (*v).into()).collect()),
        };
        let filters = Filters::new(Some(vec![filter("a", &["1", "2"]), filter("b", &["3"])]), |_| true).unwrap();
        assert!(filters.fit(|name| vec![if name == "a" { "2" } else { "3" }.into()]));
        assert!(!filters.fit(|name| vec![if name == "a" { "2" } else { "4" }.into()]));
        assert!(!filters.fit(|_| vec![]));
        let error = Filters::new(Some(vec![filter("colour", &["1"])]), |_| false).unwrap_err();
        assert_eq!(error.message, "The filter 'colour' is invalid");
    }
}
