//! Templates: texts with places such as `{title}` in them.

/// How values are escaped, so that they stay values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// As in a JSON text.
    Json,
    /// As in a form.
    Form,
    /// Not at all.
    None,
}

impl Escape {
    /// As a content type asks for.
    pub(super) fn of(kind: &str) -> Escape {
        match kind {
            kind if kind.contains("json") => Escape::Json,
            kind if kind.contains("x-www-form-urlencoded") => Escape::Form,
            _ => Escape::None,
        }
    }

    fn escape(self, value: &str) -> String {
        match self {
            Escape::Json => {
                let quoted = serde_json::Value::from(value).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }
            Escape::Form => form_urlencoded::byte_serialize(value.as_bytes()).collect(),
            Escape::None => value.to_owned(),
        }
    }
}

/// Puts values into their places, in one pass: braces in a value stay what they are, and so do others in the template.
pub(super) fn fill(template: &str, escape: Escape, places: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        let named =
            |(name, _): &&(&str, &str)| tail[1..].strip_prefix(name).is_some_and(|behind| behind.starts_with('}'));
        match places.iter().find(named) {
            Some((name, value)) => {
                out.push_str(&escape.escape(value));
                rest = &tail[name.len() + 2..];
            }
            None => {
                out.push('{');
                rest = &tail[1..];
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_once_and_escaped() {
        let places = [("to", "+1"), ("from", "+2"), ("body", "{to} \"hi\"\n")];
        let filled = fill(r#"{"to":"{to}","text":"{body}","x":{}}"#, Escape::Json, &places);
        assert_eq!(filled, r#"{"to":"+1","text":"{to} \"hi\"\n","x":{}}"#);
        let form = Escape::of("application/x-www-form-urlencoded");
        assert_eq!(fill("a={body}&b={from}", form, &[("body", "a b"), ("from", "+2")]), "a=a+b&b=%2B2");
        assert_eq!(fill("{body}{toto}{to", Escape::None, &places), "{to} \"hi\"\n{toto}{to");
    }
}
