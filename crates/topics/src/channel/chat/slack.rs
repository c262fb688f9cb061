//! Slack: blocks. Source: <https://docs.slack.dev/reference/block-kit/blocks>

use super::digest::{Digest, Severity, cut};
use serde_json::{Value, json};

/// Characters of a header, a section's text and a field.
const HEADER: usize = 150;
const SECTION: usize = 3_000;
const FIELD: usize = 2_000;
/// Fields of a section.
const FIELDS: usize = 10;

pub(super) fn body(digest: &Digest) -> Value {
    let mark = match digest.severity {
        Severity::Critical => ":red_circle: ",
        Severity::Warning => ":large_yellow_circle: ",
        Severity::Info => "",
    };
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": cut(&format!("{mark}{}", digest.title), HEADER), "emoji": true },
    })];
    if !digest.text.trim().is_empty() {
        // Room for the fences, whatever escaping adds.
        let text = escaped(&digest.text, SECTION - 10);
        let text = if digest.is_code { format!("```\n{text}\n```") } else { text };
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } }));
    }
    let field = |(name, value): &(String, String)| json!({ "type": "mrkdwn", "text": format!("*{name}*\n{}", escaped(value, FIELD - 100)) });
    if !digest.facts.is_empty() {
        let fields: Vec<Value> = digest.facts.iter().take(FIELDS).map(field).collect();
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    let foot = format!("{} · {}", escaped(&digest.topic, 300), digest.at);
    blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": foot }] }));
    json!({ "text": escaped(&digest.title, SECTION), "blocks": blocks })
}

/// Slack's three control characters, written so that they are none; at most so many characters.
fn escaped(text: &str, most: usize) -> String {
    let (mut out, mut length) = (String::new(), 0);
    for c in text.chars() {
        let name = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            _ => "",
        };
        length += name.len().max(1);
        if length >= most {
            out.push('…');
            break;
        }
        if name.is_empty() { out.push(c) } else { out.push_str(name) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::attribute::Attributes;

    #[test]
    fn a_text_has_a_header_a_section_and_a_foot() {
        let body = body(&Digest::of("a < b & c", &sample(), &Attributes::new()));
        let kinds: Vec<&str> = body["blocks"].as_array().unwrap().iter().map(|b| b["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["header", "section", "context"]);
        assert_eq!(body["blocks"][1]["text"]["text"], "a &lt; b &amp; c");
    }

    #[test]
    fn long_texts_are_cut() {
        let body = body(&Digest::of(&"&".repeat(5_000), &sample(), &Attributes::new()));
        let text = body["blocks"][1]["text"]["text"].as_str().unwrap();
        assert!(text.chars().count() <= SECTION && text.ends_with("&amp;…"));
    }
}
