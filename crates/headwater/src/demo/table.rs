//! The timeline, for people.

use crate::out::say;
use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use serde_json::Value;

pub fn show(done: &Value, endpoint: &str, stays: bool) {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["", "hop", "after", "step"]);
    let hops = done["hops"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut before = None;
    for hop in hops {
        let ms = hop["ms"].as_f64().unwrap_or_default();
        let step = before.map_or(0.0, |b: f64| ms - b);
        before = Some(ms);
        table.add_row([
            Cell::new(hop["service"].as_str().unwrap_or_default()).fg(Color::Cyan),
            Cell::new(hop["what"].as_str().unwrap_or_default()),
            Cell::new(format!("{ms:+.1} ms")).set_alignment(CellAlignment::Right),
            Cell::new(format!("{step:.1} ms")).set_alignment(CellAlignment::Right),
        ]);
    }
    say!("{table}");
    let message = &done["message"];
    say!("\n  to {}: {}", text(&message["to"]), text(&message["body"]));
    match text(&message["status"]) {
        "no-provider" => say!("  (kept in the outbox: no SMS provider is configured)"),
        status => say!("  ({status})"),
    }
    say!(
        "\n  {:.0} ms from the answer to TerminateInstances to the message; {} (Type=Test) was terminated too and sent none.",
        done["latency_ms"].as_f64().unwrap_or_default(),
        text(&done["quiet"]),
    );
    if stays {
        say!("  look again: headwater tail --once --endpoint {endpoint} security-events");
        say!("              curl -s {endpoint}/_headwater/outbox");
    } else {
        say!("  look at it again: headwater demo --keep, then headwater tail --once --endpoint URL security-events");
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
