//! `headwater status`: what runs, lags and fails.

use crate::cli::StatusArgs;
use crate::client::Client;
use crate::out::say;
use anyhow::Result;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;
use std::time::Duration;

pub async fn run(args: StatusArgs) -> Result<()> {
    let status = Client::new(&args.client)?.get("status", Duration::from_secs(10)).await?;
    if args.json {
        say!("{}", serde_json::to_string_pretty(&status)?);
        return Ok(());
    }
    say!(
        "headwater {} · account {} · {} · up {} s · durability {} · limits {}",
        text(&status["version"]),
        text(&status["account"]),
        text(&status["region"]),
        status["uptime_seconds"],
        text(&status["durability"]),
        text(&status["limits"]),
    );
    say!("journal: {} segments, {} bytes on disk", status["store"]["segments"], status["store"]["bytes"]);
    say!("limits on functions: {}", text(&status["enforcement"]));
    sandbox(&status["sandbox"]);
    table("Event source mappings", &status["mappings"], &["function", "source", "state", "result", "lag_ms"]);
    table("Pipes", &status["pipes"], &["name", "source", "target", "state", "executions", "failures", "last_error"]);
    table("Functions", &status["functions"], &["name", "runtime", "processes", "busy"]);
    table("Archives", &status["archives"], &["name", "bus", "events", "bytes", "retention_days"]);
    table("Replays", &status["replays"], &["name", "archive", "bus", "state", "last_event"]);
    let schedules = &status["schedules"];
    let title = format!("Schedules ({} of {} enabled)", schedules["enabled"], schedules["total"]);
    table(&title, &schedules["first"], &["name", "expression", "target", "state", "last", "next"]);
    let backlog = &status["backlog"];
    let (bytes, limit) = (&backlog["bytes"], &backlog["limit_bytes"]);
    say!("\nbacklog: {} waiting, {} on their way, {bytes} bytes of {limit}", backlog["waiting"], backlog["in_flight"]);
    if backlog["untold_calls"] != 0 {
        say!("calls that the default bus is yet to be told of: {}", backlog["untold_calls"]);
    }
    if backlog["unreadable_calls"] != 0 {
        say!("calls that it is never told of, their records being damaged: {}", backlog["unreadable_calls"]);
    }
    table("Waiting for delivery", &status["lanes"], &["lane", "waiting", "in_flight", "bytes", "last_error"]);
    table("Could not be delivered, kept", &status["dead"], &["to", "code", "why", "time"]);
    Ok(())
}

fn sandbox(sandbox: &Value) {
    let list = |name: &str| sandbox[name].as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
    let (mode, network) = (text(&sandbox["mode"]), text(&sandbox["network"]));
    match mode.as_str() {
        "off" => say!("sandbox of functions: off"),
        _ => say!("sandbox of functions: {mode} · network {network} · {}", list("held").join(", ")),
    }
    for missing in list("missing").iter().filter(|_| mode != "off") {
        say!("  missing: {missing}");
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn table(title: &str, rows: &Value, columns: &[&str]) {
    let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        say!("\n{title}: none");
        return;
    }
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(columns.iter().map(|c| c.replace('_', " ")));
    for row in rows {
        table.add_row(columns.iter().map(|column| text(&row[*column])));
    }
    say!("\n{title}\n{table}");
}
