//! A stream's registered consumers, as the catalog knows them: readers with a throughput of their own (enhanced fan-out).
//! Pure.

use names::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A registered consumer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Consumer {
    /// Its name, unique in its stream.
    pub(crate) name: String,
    /// When it was registered, to the millisecond.
    pub(crate) created: Timestamp,
    /// Where it is in its life.
    pub(crate) status: ConsumerStatus,
    /// Its tags.
    pub(crate) tags: BTreeMap<String, String>,
}

/// Where a consumer is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ConsumerStatus {
    /// It may not read yet.
    Creating,
    /// It may read.
    Active,
    /// It may no longer read.
    Deleting,
}

/// What happens to a consumer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum ConsumerChange {
    /// It is wanted.
    Registered(Consumer),
    /// It may read.
    Activated,
    /// It is no longer wanted.
    Deregistered,
    /// It is gone.
    Forgotten,
    /// Tags are set or removed.
    Tagged {
        /// Set these.
        set: BTreeMap<String, String>,
        /// Remove these.
        remove: Vec<String>,
    },
}

/// What a consumer's ARN says behind `stream/`: `NAME/consumer/CONSUMER:SECONDS`. The time tells it from earlier ones of
/// its name.
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_Consumer.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConsumerId<'a> {
    /// The stream's name.
    pub(crate) stream: &'a str,
    /// The consumer's name.
    pub(crate) name: &'a str,
    /// The second it was registered.
    pub(crate) created: i64,
}

impl<'a> ConsumerId<'a> {
    /// Reads what stands behind `stream/`.
    pub(crate) fn parse(text: &'a str) -> Option<ConsumerId<'a>> {
        let (stream, consumer) = text.split_once("/consumer/")?;
        let (name, created) = consumer.rsplit_once(':')?;
        Some(ConsumerId { stream, name, created: created.parse().ok()? })
    }
}

impl Consumer {
    /// Its ARN, given its stream's.
    pub(crate) fn arn(&self, stream: &names::Arn) -> String {
        format!("{stream}/consumer/{}:{}", self.name, self.created.secs())
    }
}

/// Applies a change to a stream's consumers.
pub(crate) fn apply(consumers: &mut BTreeMap<String, Consumer>, name: &str, change: &ConsumerChange) {
    match change {
        ConsumerChange::Registered(consumer) => {
            consumers.insert(name.to_owned(), consumer.clone());
        }
        ConsumerChange::Forgotten => {
            consumers.remove(name);
        }
        ConsumerChange::Activated => with(consumers, name, |consumer| consumer.status = ConsumerStatus::Active),
        ConsumerChange::Deregistered => with(consumers, name, |consumer| consumer.status = ConsumerStatus::Deleting),
        ConsumerChange::Tagged { set, remove } => with(consumers, name, |consumer| {
            consumer.tags.extend(set.iter().map(|(key, value)| (key.clone(), value.clone())));
            consumer.tags.retain(|key, _| !remove.contains(key));
        }),
    }
}

fn with(consumers: &mut BTreeMap<String, Consumer>, name: &str, edit: impl FnOnce(&mut Consumer)) {
    if let Some(consumer) = consumers.get_mut(name) {
        edit(consumer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_are_read_as_they_are_written() {
        let arn: names::Arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s".parse().unwrap();
        let created = Timestamp::from_millis(1_525_898_737_900);
        let consumer = Consumer { name: "c".into(), created, status: ConsumerStatus::Active, tags: BTreeMap::new() };
        let arn: names::Arn = consumer.arn(&arn).parse().unwrap();
        assert_eq!(arn.as_str(), "arn:aws:kinesis:us-east-1:000000000000:stream/s/consumer/c:1525898737");
        let id = ConsumerId { stream: "s", name: "c", created: 1_525_898_737 };
        assert_eq!(ConsumerId::parse(arn.resource_after("stream/").unwrap()), Some(id));
        for other in ["s", "s/consumer/c", "s/consumer/c:", "s/consumer/c:x"] {
            assert_eq!(ConsumerId::parse(other), None, "{other}");
        }
    }
}
