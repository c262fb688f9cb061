use percent_encoding::percent_decode_str;
use std::cmp::Ordering;

/// A REST path pattern, such as `/2015-03-31/functions/{FunctionName}/invocations` or `/{Bucket}/{Key+}?acl`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    segments: Vec<Segment>,
    query: Vec<(&'static str, &'static str)>,
}

/// In the order of how specific they are.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(&'static str),
    Label(&'static str),
    Greedy(&'static str),
}

impl Pattern {
    pub(crate) fn parse(uri: &'static str) -> Pattern {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let segments = path.split('/').filter(|s| !s.is_empty()).map(|segment| {
            match segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
                Some(label) => label.strip_suffix('+').map_or(Segment::Label(label), Segment::Greedy),
                None => Segment::Literal(segment),
            }
        });
        let query = query.split('&').filter(|q| !q.is_empty()).map(|q| q.split_once('=').unwrap_or((q, "")));
        Pattern { segments: segments.collect(), query: query.collect() }
    }

    /// The labels' values, where the path matches. A slash at the end of either does not matter: models disagree
    /// with themselves about it (`/2015-03-31/functions/` and `/2015-03-31/functions`).
    pub(crate) fn labels(&self, path: &str) -> Option<Vec<(&'static str, String)>> {
        let path = path.strip_prefix('/')?;
        let parts: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').filter(|p| !p.is_empty()).collect();
        let greedy = self.segments.iter().position(|s| matches!(s, Segment::Greedy(_)));
        let fits = match greedy {
            Some(_) => parts.len() >= self.segments.len(),
            None => parts.len() == self.segments.len(),
        };
        if !fits {
            return None;
        }
        let mut found = Vec::new();
        let mut rest = parts.as_slice();
        for (i, segment) in self.segments.iter().enumerate() {
            let take = if Some(i) == greedy { rest.len() - (self.segments.len() - i - 1) } else { 1 };
            let (mine, behind) = rest.split_at(take);
            rest = behind;
            match segment {
                Segment::Literal(text) if mine[0] == *text => {}
                Segment::Literal(_) => return None,
                Segment::Label(name) | Segment::Greedy(name) => {
                    let text = percent_decode_str(&mine.join("/")).decode_utf8().ok()?.into_owned();
                    found.push((*name, text));
                }
            }
        }
        Some(found)
    }

    /// Whether the query string holds what the pattern demands of it.
    pub(crate) fn query_fits(&self, query: &str) -> bool {
        self.query.iter().all(|wanted| {
            query
                .split('&')
                .map(|q| q.split_once('=').unwrap_or((q, "")))
                .any(|(name, value)| name == wanted.0 && (wanted.1.is_empty() || value == wanted.1))
        })
    }

    /// The more specific pattern comes first: literals before labels before greedy labels, from the left; then the one
    /// that demands more of the query string.
    pub(crate) fn specificity(&self, other: &Pattern) -> Ordering {
        let rank = |s: &Segment| match s {
            Segment::Literal(_) => 0,
            Segment::Label(_) => 1,
            Segment::Greedy(_) => 2,
        };
        let mine = self.segments.iter().map(rank);
        mine.cmp(other.segments.iter().map(rank)).then(other.query.len().cmp(&self.query.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pattern: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
        Pattern::parse(pattern).labels(path)
    }

    #[test]
    fn labels_are_found_and_decoded() {
        let invoke = "/2015-03-31/functions/{FunctionName}/invocations";
        assert_eq!(
            labels(invoke, "/2015-03-31/functions/arn%3Aaws%3Alambda/invocations"),
            Some(vec![("FunctionName", "arn:aws:lambda".to_owned())])
        );
        assert_eq!(labels(invoke, "/2015-03-31/functions//invocations"), None);
        assert_eq!(labels(invoke, "/2015-03-31/functions/a"), None);
        assert_eq!(
            labels("/{Bucket}/{Key+}", "/b/x/y%20z"),
            Some(vec![("Bucket", "b".to_owned()), ("Key", "x/y z".to_owned())])
        );
        assert_eq!(labels("/a/{Key+}/end", "/a/b/c/end"), Some(vec![("Key", "b/c".to_owned())]));
        assert_eq!(labels("/a/{Key+}/end", "/a/end"), None);
    }

    #[test]
    fn a_slash_at_the_end_does_not_matter() {
        for path in ["/2015-03-31/functions/", "/2015-03-31/functions"] {
            assert!(labels("/2015-03-31/functions/", path).is_some());
            assert!(labels("/2015-03-31/functions", path).is_some());
        }
    }

    #[test]
    fn the_more_specific_pattern_comes_first() {
        let mut patterns: Vec<_> = ["/a/{X+}", "/a/{X}", "/a/b", "/a/{X}?acl"].map(Pattern::parse).into();
        patterns.sort_by(Pattern::specificity);
        let expected = ["/a/b", "/a/{X}?acl", "/a/{X}", "/a/{X+}"].map(Pattern::parse);
        assert_eq!(patterns, expected);
        assert!(patterns[1].query_fits("x=1&acl"));
        assert!(!patterns[1].query_fits("x=1"));
    }
}
