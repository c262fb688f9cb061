//! Where events go, and as what: from events to envelopes. Pure.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-event-target.html>

mod bus;
mod http;

use crate::item::Item;
use crate::limits::{BATCH_OF_TEN, GROUP_BATCH, PAYLOAD, STREAM_TARGET_BATCH};
use crate::settings::{Enrichment, Target};
use crate::template::{Facts, Template, TemplateError};
use crate::text::Text;
use bus::Bus;
use bytes::Bytes;
use delivery::{Envelope, RetryPolicy, attribute};
use http::Request;
use names::{Arn, Timestamp};
use patterns::PathError;
use serde_json::Value;
use std::collections::BTreeMap;

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

    /// How many of the events, from the first, fit into what is sent at once; at least one if there is any.
    pub(crate) fn fit(&self, sender: &Sender<'_>, items: &[Item]) -> usize {
        if !self.is_function() {
            return items.len();
        }
        let mut bytes = 2;
        let fits = items.iter().take_while(|item| {
            bytes += self.text(sender, item).len() + 1;
            bytes <= PAYLOAD
        });
        fits.count().max(1).min(items.len())
    }

    /// What is sent for events: one envelope for each, in their order, or one for all.
    pub(crate) fn envelopes(
        &self,
        sender: &Sender<'_>,
        items: &[Item],
        mut id: impl FnMut() -> String,
    ) -> Vec<Result<Envelope, Unfit>> {
        match &self.way {
            Way::Function { forget } => {
                let texts: Vec<String> = items.iter().map(|item| self.text(sender, item)).collect();
                let invocation = if *forget { "Event" } else { "RequestResponse" };
                let id = id();
                let attributes = [(attribute::INVOCATION, invocation), (attribute::REQUEST_ID, id.as_str())];
                let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
                let body = format!("[{}]", texts.join(","));
                if body.len() > PAYLOAD {
                    return vec![Err(Unfit(format!("the events have more than {PAYLOAD} bytes")))];
                }
                vec![Ok(self.envelope(sender, id, body, attributes))]
            }
            _ => items.iter().map(|item| self.single(sender, item, id())).collect(),
        }
    }

    fn single(&self, sender: &Sender<'_>, item: &Item, id: String) -> Result<Envelope, Unfit> {
        let mut attributes = BTreeMap::new();
        let mut body = self.text(sender, item);
        let fill = |name: &str, text: &Text, event: &Value| {
            let filled = text.fill(event).filter(|text| !text.is_empty());
            filled.ok_or_else(|| Unfit(format!("{name} is empty for an event")))
        };
        match &self.way {
            Way::Stream { key } => {
                let key = fill("PartitionKey", key, &item.decoded())?;
                attributes.insert(attribute::PARTITION_KEY.to_owned(), key);
            }
            Way::Queue { group: None, deduplication: None } => {}
            Way::Queue { group, deduplication } => {
                let event = item.decoded();
                let named = [
                    ("MessageGroupId", attribute::MESSAGE_GROUP_ID, group),
                    ("MessageDeduplicationId", attribute::MESSAGE_DEDUPLICATION_ID, deduplication),
                ];
                for (name, attribute, text) in named {
                    if let Some(text) = text {
                        attributes.insert(attribute.to_owned(), fill(name, text, &event)?);
                    }
                }
            }
            Way::Bus(bus) => body = bus.event(sender, item, &id, &body)?,
            Way::Destination(request) => {
                attributes.insert(attribute::HTTP.to_owned(), request.fill(&item.decoded()));
            }
            Way::Group { stream, time } => {
                let event = item.decoded();
                if let Some(stream) = stream {
                    attributes.insert(attribute::LOG_STREAM.to_owned(), fill("LogStreamName", stream, &event)?);
                }
                let at = match time {
                    Some(time) => {
                        let text = fill("Timestamp", time, &event)?;
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

    fn text(&self, sender: &Sender<'_>, item: &Item) -> String {
        match &self.template {
            Some(template) => template.fill(sender.facts, item, sender.now),
            None => item.text.clone(),
        }
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

/// What a log group's target takes: when, and what.
pub(crate) fn logged(at_ms: i64, message: &str) -> String {
    serde_json::json!({"timestamp": at_ms, "message": message}).to_string()
}

fn compile(text: Option<&str>) -> Result<Option<Template>, TemplateError> {
    text.filter(|text| !text.is_empty()).map(Template::compile).transpose()
}

#[cfg(test)]
mod tests;
