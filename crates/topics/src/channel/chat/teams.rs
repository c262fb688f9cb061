//! Microsoft Teams: an Adaptive Card in a message.
//! Source: <https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>

use super::digest::{Digest, Severity, cut};
use serde_json::{Value, json};

/// A message has at most 28 KB; so many characters of text leave room for the rest of it.
const TEXT: usize = 5_000;
const FACT: usize = 500;

pub(super) fn body(digest: &Digest) -> Value {
    let colour = match digest.severity {
        Severity::Critical => "Attention",
        Severity::Warning => "Warning",
        Severity::Info => "Default",
    };
    let mut parts = vec![json!({
        "type": "TextBlock", "text": cut(&digest.title, FACT), "size": "Large", "weight": "Bolder", "wrap": true,
        "color": colour,
    })];
    if !digest.text.trim().is_empty() {
        let font = if digest.is_code { "Monospace" } else { "Default" };
        parts.push(json!({ "type": "TextBlock", "text": cut(&digest.text, TEXT), "wrap": true, "fontType": font }));
    }
    if !digest.facts.is_empty() {
        let fact = |(name, value): &(String, String)| json!({ "title": name, "value": cut(value, FACT) });
        parts.push(json!({ "type": "FactSet", "facts": digest.facts.iter().map(fact).collect::<Vec<_>>() }));
    }
    let foot = format!("{} · {}", digest.topic, digest.at);
    parts.push(json!({ "type": "TextBlock", "text": foot, "isSubtle": true, "size": "Small", "wrap": true }));
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": parts,
            },
        }],
    })
}

/// Whether an answer of 200 means that it did not take the message: connectors say so in words.
pub(super) fn is_refusal(answer: &[u8]) -> bool {
    answer.starts_with(b"Webhook message delivery failed")
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::attribute::Attributes;

    #[test]
    fn a_card() {
        let message =
            json!({ "AlarmName": "cpu", "NewStateValue": "ALARM", "OldStateValue": "OK", "NewStateReason": "hot" });
        let body = body(&Digest::of(&message.to_string(), &sample(), &Attributes::new()));
        let card = &body["attachments"][0]["content"];
        assert_eq!((&card["type"], &card["body"][0]["color"]), (&json!("AdaptiveCard"), &json!("Attention")));
        assert_eq!(card["body"][2]["facts"][0], json!({ "title": "State", "value": "OK → ALARM" }));
        let long = body_of(&"x".repeat(100_000));
        assert!(long.to_string().len() < 28 << 10);
        assert!(is_refusal(b"Webhook message delivery failed with error: ...429") && !is_refusal(b"1"));
    }

    fn body_of(text: &str) -> Value {
        body(&Digest::of(text, &sample(), &Attributes::new()))
    }
}
