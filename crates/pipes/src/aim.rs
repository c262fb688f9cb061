//! Where events go, and as what: from events to envelopes. Pure.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-event-target.html>

mod bus;
mod http;

use crate::item::Item;
use crate::limits::{
    BATCH_OF_TEN, BUS_EVENT, GROUP_BATCH, LOG_EVENT, PAYLOAD, QUEUE_MESSAGE, STREAM_BYTES, STREAM_TARGET_BATCH,
    TOPIC_MESSAGE,
};
use crate::settings::{Enrichment, Target};
use crate::template::{Facts, Template, TemplateError};
use crate::text::Text;
use bus::Bus;
use bytes::Bytes;
use delivery::{Envelope, RetryPolicy, attribute};
use http::Request;
use names::{Arn, Timestamp};
use patterns::PathError;
use patterns::template::{Filling, TooLong};
use serde_json::Value;
use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::slice::Chunks;

/// Who calls targets and enrichments.
pub(crate) const PRINCIPAL: &str = "pipes.amazonaws.com";

/// A target or an enrichment, compiled.
pub(crate) struct Aim {
    to: Arn,
    template: Option<Template>,
    way: Way,
}

enum Way {
    /// Takes the array of all.
    Function {
        forget: bool,
    },
    Stream {
        key: Text,
    },
    Queue {
        group: Option<Text>,
        deduplication: Option<Text>,
    },
    Topic,
    Bus(Bus),
    Destination(Request),
    Group {
        stream: Option<Text>,
        time: Option<Text>,
    },
}

/// Who sends, and when.
pub(crate) struct Sender<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) pipe: &'a Arn,
    pub(crate) role: &'a Arn,
    pub(crate) now: Timestamp,
}

/// Why there is no such aim.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AimError {
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("{0} is no target of pipes here.")]
    Unserved(Arn),
}

/// Why an event cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unfit(pub(crate) String);

impl Aim {
    pub(crate) fn target(target: &Target) -> Result<Aim, AimError> {
        let queue = target.queue.clone().unwrap_or_default();
        let text = |text: &Option<String>| text.as_deref().map(Text::compile).transpose();
        let (to, template) = (target.arn.clone(), compile(target.template.as_deref())?);
        let way = match to.service() {
            "lambda" => Way::Function { forget: target.forget.unwrap_or(false) },
            "kinesis" => Way::Stream { key: Text::compile(target.partition_key.as_deref().unwrap_or_default())? },
            "sqs" => Way::Queue { group: text(&queue.group)?, deduplication: text(&queue.deduplication)? },
            "sns" => Way::Topic,
            "events" if to.resource_after("event-bus/").is_some() => {
                Way::Bus(Bus::compile(&target.bus.clone().unwrap_or_default())?)
            }
            "events" if to.resource_after("api-destination/").is_some() => {
                Way::Destination(Request::compile(&target.http.clone().unwrap_or_default())?)
            }
            "logs" => {
                let logs = target.logs.clone().unwrap_or_default();
                Way::Group { stream: text(&logs.stream)?, time: text(&logs.timestamp)? }
            }
            _ => return Err(AimError::Unserved(to)),
        };
        Ok(Aim { to, template, way })
    }

    pub(crate) fn enrichment(enrichment: &Enrichment) -> Result<Aim, AimError> {
        let (to, template) = (enrichment.arn.clone(), compile(enrichment.template.as_deref())?);
        let way = match to.service() {
            "lambda" => Way::Function { forget: false },
            "events" if to.resource_after("api-destination/").is_some() => {
                Way::Destination(Request::compile(&enrichment.http.clone().unwrap_or_default())?)
            }
            _ => return Err(AimError::Unserved(to)),
        };
        Ok(Aim { to, template, way })
    }

    /// How many events it takes at once.
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-batching-concurrency.html>
    pub(crate) fn most(&self) -> usize {
        match self.way {
            Way::Function { .. } => usize::MAX,
            Way::Stream { .. } => STREAM_TARGET_BATCH,
            Way::Queue { .. } | Way::Topic | Way::Bus(_) => BATCH_OF_TEN,
            Way::Destination(_) => 1,
            Way::Group { .. } => GROUP_BATCH,
        }
    }

    /// Where it is.
    pub(crate) fn to(&self) -> &Arn {
        &self.to
    }

    /// Whether its answer tells of the batch.
    pub(crate) fn reports(&self) -> bool {
        matches!(self.way, Way::Function { forget: false })
    }

    /// Whether it gets all events in one envelope.
    pub(crate) fn is_function(&self) -> bool {
        matches!(self.way, Way::Function { .. })
    }

    /// How many bytes a template may make of one event.
    fn most_bytes(&self) -> usize {
        match self.way {
            Way::Function { .. } | Way::Destination(_) => PAYLOAD,
            Way::Stream { .. } => STREAM_BYTES,
            Way::Queue { .. } => QUEUE_MESSAGE,
            Way::Topic => TOPIC_MESSAGE,
            Way::Bus(_) => BUS_EVENT,
            Way::Group { .. } => LOG_EVENT,
        }
    }

    /// How many of the events, from the first, fit into what is sent at once; at least one if there is any.
    pub(crate) fn fit(&self, sender: &Sender<'_>, items: &[Item]) -> usize {
        if !self.is_function() {
            return items.len();
        }
        let mut left = PAYLOAD - 1;
        let fits = items.iter().take_while(|item| {
            let len = match self.template {
                Some(_) => self.text(sender, item, &decoded(item)).map_or(PAYLOAD, |text| text.len()),
                None => item.text.len(),
            };
            left.checked_sub(len + 1).inspect(|rest| left = *rest).is_some()
        });
        fits.count().max(1).min(items.len())
    }

    /// Events as they are sent: each by itself, or all together.
    pub(crate) fn parts<'i>(&self, items: &'i [Item]) -> Chunks<'i, Item> {
        items.chunks(if self.is_function() { items.len().max(1) } else { 1 })
    }

    /// What is sent for such a part.
    pub(crate) fn sends(&self, sender: &Sender<'_>, part: &[Item], id: String) -> Result<Envelope, Unfit> {
        match (&self.way, part) {
            (Way::Function { forget }, all) => self.whole(sender, all, *forget, id),
            (_, [item]) => self.single(sender, item, id),
            _ => Err(Unfit("it takes one event at a time".to_owned())),
        }
    }

    fn whole(&self, sender: &Sender<'_>, items: &[Item], forget: bool, id: String) -> Result<Envelope, Unfit> {
        let invocation = if forget { "Event" } else { "RequestResponse" };
        let attributes = [(attribute::INVOCATION, invocation), (attribute::REQUEST_ID, id.as_str())];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let body = self.array(sender, items);
        let body = body.map_err(|TooLong(most)| Unfit(format!("the events have more than {most} bytes")))?;
        Ok(self.envelope(sender, id, body, attributes))
    }

    fn array(&self, sender: &Sender<'_>, items: &[Item]) -> Result<String, TooLong> {
        let mut out = Filling::new(PAYLOAD);
        for (i, item) in items.iter().enumerate() {
            out.text(if i == 0 { "[" } else { "," })?;
            match &self.template {
                Some(template) => template.fill(sender.facts, item, &item.decoded(), sender.now, &mut out)?,
                None => out.text(&item.text)?,
            }
        }
        out.text("]")?;
        Ok(out.done())
    }

    fn single(&self, sender: &Sender<'_>, item: &Item, id: String) -> Result<Envelope, Unfit> {
        let mut attributes = BTreeMap::new();
        let event = decoded(item);
        let mut body = self.text(sender, item, &event).map_err(|error| Unfit(error.to_string()))?;
        let fill = |name: &str, text: &Text| {
            let filled = text.fill(&event).filter(|text| !text.is_empty());
            filled.ok_or_else(|| Unfit(format!("{name} is empty for an event")))
        };
        match &self.way {
            Way::Stream { key } => {
                attributes.insert(attribute::PARTITION_KEY.to_owned(), fill("PartitionKey", key)?);
            }
            Way::Queue { group, deduplication } => {
                let named = [
                    ("MessageGroupId", attribute::MESSAGE_GROUP_ID, group),
                    ("MessageDeduplicationId", attribute::MESSAGE_DEDUPLICATION_ID, deduplication),
                ];
                for (name, attribute, text) in named {
                    if let Some(text) = text {
                        attributes.insert(attribute.to_owned(), fill(name, text)?);
                    }
                }
            }
            Way::Bus(bus) => body = bus.event(sender, &event, &id, &body)?,
            Way::Destination(request) => {
                attributes.insert(attribute::HTTP.to_owned(), request.fill(&event)?);
            }
            Way::Group { stream, time } => {
                if let Some(stream) = stream {
                    attributes.insert(attribute::LOG_STREAM.to_owned(), fill("LogStreamName", stream)?);
                }
                let at = match time {
                    Some(time) => {
                        let text = fill("Timestamp", time)?;
                        text.parse().map_err(|_| Unfit(format!("the Timestamp {text} is no number of milliseconds")))?
                    }
                    None => sender.now.millis(),
                };
                body = logged(at, &body);
            }
            Way::Function { .. } | Way::Topic => {}
        }
        Ok(self.envelope(sender, id, body, attributes))
    }

    /// What an event becomes, of no more bytes than the target takes where a template makes it.
    fn text(&self, sender: &Sender<'_>, item: &Item, decoded: &impl Deref<Target = Value>) -> Result<String, TooLong> {
        let Some(template) = &self.template else { return Ok(item.text.clone()) };
        let mut out = Filling::new(self.most_bytes());
        template.fill(sender.facts, item, decoded, sender.now, &mut out)?;
        Ok(out.done())
    }

    fn envelope(
        &self,
        sender: &Sender<'_>,
        id: String,
        body: String,
        attributes: BTreeMap<String, String>,
    ) -> Envelope {
        Envelope {
            id,
            to: self.to.clone(),
            body: Bytes::from(body),
            attributes,
            from: Some(sender.pipe.clone()),
            principal: PRINCIPAL.to_owned(),
            role: Some(sender.role.clone()),
            policy: RetryPolicy::default(),
            dead_letter: None,
            trace: None,
            not_before: None,
            created: sender.now,
        }
    }
}

/// An event with its payload taken apart, where somebody asks for that.
fn decoded(item: &Item) -> LazyCell<Value, impl FnOnce() -> Value + use<'_>> {
    LazyCell::new(|| item.decoded())
}

/// What a log group's target takes: when, and what.
pub(crate) fn logged(at_ms: i64, message: &str) -> String {
    serde_json::json!({"timestamp": at_ms, "message": message}).to_string()
}

fn compile(text: Option<&str>) -> Result<Option<Template>, TemplateError> {
    text.filter(|text| !text.is_empty()).map(Template::compile).transpose()
}

#[cfg(test)]
mod tests;
