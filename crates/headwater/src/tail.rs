//! `headwater tail`: follows a stream's records or a log group's lines.

use crate::cli::TailArgs;
use crate::client::Client;
use crate::out::{is_closed, say};
use anyhow::Result;
use std::time::Duration;

/// The server holds a question this long when there is nothing new.
const PATIENCE: Duration = Duration::from_secs(30);

pub async fn run(args: TailArgs) -> Result<()> {
    let client = Client::new(&args.client)?;
    let mut from = if args.from_start || args.once { "start".to_owned() } else { "end".to_owned() };
    loop {
        let wait = if args.once { 0 } else { 20 };
        let route = format!("tail?what={}&from={from}&wait={wait}", escaped(&args.what));
        let page = client.get(&route, PATIENCE).await?;
        let lines = page["lines"].as_array().cloned().unwrap_or_default();
        for line in &lines {
            say!("{} {}", line["time"].as_str().unwrap_or_default(), line["text"].as_str().unwrap_or_default());
        }
        from = page["next"].as_str().unwrap_or("end").to_owned();
        if (args.once && lines.is_empty()) || is_closed() {
            return Ok(());
        }
    }
}

fn escaped(text: &str) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_.~".contains(b);
    text.bytes().map(|b| if plain(&b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
