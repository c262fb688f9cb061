//! The events that a bus gets. Pure.
//! <https://docs.aws.amazon.com/eventbridge/latest/pipes-reference/API_PipeTargetEventBridgeEventBusParameters.html>

use super::{Sender, Unfit};
use crate::limits::BUS_EVENT;
use crate::settings::BusParameters;
use crate::text::Text;
use patterns::PathError;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// What its events say, compiled.
pub(super) struct Bus {
    detail_type: Option<Text>,
    source: Option<Text>,
    resources: Vec<Text>,
    time: Option<Text>,
}

/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html>
#[derive(Serialize)]
struct Event<'a> {
    version: &'static str,
    id: &'a str,
    #[serde(rename = "detail-type")]
    detail_type: String,
    source: String,
    account: &'a str,
    time: String,
    region: &'a str,
    resources: Vec<String>,
    detail: &'a RawValue,
}

impl Bus {
    pub(super) fn compile(kept: &BusParameters) -> Result<Bus, PathError> {
        let text = |text: &Option<String>| text.as_deref().map(Text::compile).transpose();
        Ok(Bus {
            detail_type: text(&kept.detail_type)?,
            source: text(&kept.source)?,
            resources: kept.resources.iter().flatten().map(|text| Text::compile(text)).collect::<Result<_, _>>()?,
            time: text(&kept.time)?,
        })
    }

    /// The event whose detail is `detail`.
    pub(super) fn event(&self, sender: &Sender<'_>, event: &Value, id: &str, detail: &str) -> Result<String, Unfit> {
        let detail: &RawValue = serde_json::from_str(detail.trim()).map_err(|_| malformed())?;
        if !detail.get().starts_with('{') {
            return Err(malformed());
        }
        let fill = |text: &Option<Text>, otherwise: String| match text {
            Some(text) => text.fill(event).filter(|text| !text.is_empty()).unwrap_or(otherwise),
            None => otherwise,
        };
        let came_from = event.get("eventSource").and_then(Value::as_str).map(str::to_owned);
        let came_from = came_from.unwrap_or_else(|| of_source(&sender.facts.source_arn));
        let source = fill(&self.source, format!("Pipe {}", sender.facts.pipe_name));
        if source.starts_with("aws.") {
            return Err(Unfit("Not authorized for the source.".to_owned()));
        }
        let event = Event {
            version: "0",
            id,
            detail_type: fill(&self.detail_type, format!("Event from {came_from}")),
            source,
            account: sender.pipe.account(),
            time: self.time(sender, event)?,
            region: sender.pipe.region(),
            resources: self.resources(event)?,
            detail,
        };
        let text = serde_json::to_string(&event).expect("an event has only keys that JSON can carry");
        if text.len() > BUS_EVENT {
            return Err(too_long());
        }
        Ok(text)
    }

    fn resources(&self, event: &Value) -> Result<Vec<String>, Unfit> {
        let mut left = BUS_EVENT;
        let texts = self.resources.iter().filter_map(|text| text.fill(event));
        let fits = texts.map(|text| {
            left = left.checked_sub(text.len()).ok_or_else(too_long)?;
            Ok(text)
        });
        fits.collect()
    }

    /// When the event is said to be: as RFC 3339 writes it, where the pipe says so.
    fn time(&self, sender: &Sender<'_>, event: &Value) -> Result<String, Unfit> {
        let Some(text) = self.time.as_ref().and_then(|text| text.fill(event)).filter(|text| !text.is_empty()) else {
            return Ok(sender.now.iso_secs());
        };
        let time: jiff::Timestamp = text.parse().map_err(|_| Unfit(format!("{text} is no time of RFC 3339")))?;
        Ok(names::Timestamp::from_millis(time.as_millisecond()).iso_secs())
    }
}

fn too_long() -> Unfit {
    Unfit(format!("the event has more than {BUS_EVENT} bytes"))
}

fn malformed() -> Unfit {
    Unfit("Detail is malformed.".to_owned())
}

/// The name of a source in events: `aws:sqs`, `aws:kinesis`.
fn of_source(arn: &str) -> String {
    format!("aws:{}", arn.split(':').nth(2).unwrap_or_default())
}
