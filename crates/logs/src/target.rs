//! The pushed door: an event that a rule sends to a log group becomes an event of the group.
//! Sources: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html>,
//! <https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.aws_events_targets.LogGroupTargetInputOptions.html>

use crate::Logs;
use crate::batch;
use crate::room::Room;
use bytes::Bytes;
use delivery::{Envelope, Target, Verdict, attribute};
use names::{Arn, Timestamp};
use policies::{Policy, Request, Who, admit};
use serde::Deserialize;
use serde_json::value::RawValue;
use shapes::logs::errors::INVALID_PARAMETER_EXCEPTION;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ApiError, common};
use world::BoxFuture;

/// The log groups of the house as a target of delivery.
pub(crate) struct GroupTarget(pub(crate) Arc<Logs>);

/// What an InputTransformer for a log group makes: nothing else is taken. Of a member that is there twice the last one holds,
/// as in any other JSON.
struct Made<'a> {
    timestamp: When<'a>,
    message: Cow<'a, str>,
}

impl<'a> Made<'a> {
    fn read(text: &'a str) -> Option<Made<'a>> {
        let members: BTreeMap<Cow<'a, str>, &'a RawValue> = serde_json::from_str(text).ok()?;
        if members.len() != 2 {
            return None;
        }
        let timestamp = serde_json::from_str(members.get("timestamp")?.get()).ok()?;
        let Text(message) = serde_json::from_str(members.get("message")?.get()).ok()?;
        Some(Made { timestamp, message })
    }
}

/// A text, where it lies if it can.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
#[serde(untagged)]
enum When<'a> {
    Millis(i64),
    #[serde(borrow)]
    Text(Cow<'a, str>),
}

/// What is read of a whole event.
#[derive(Deserialize)]
struct Matched<'a> {
    #[serde(borrow)]
    time: Cow<'a, str>,
}

/// A log event on its way.
struct Given<'a> {
    stream: String,
    at: i64,
    message: Cow<'a, str>,
}

fn given(envelope: &Envelope) -> Result<Given<'_>, String> {
    let text = std::str::from_utf8(&envelope.body).map_err(|_| "the event is not UTF-8".to_owned())?;
    let stream = stream_of(envelope);
    if let Some(made) = Made::read(text) {
        let at = match &made.timestamp {
            When::Millis(at) => Some(*at),
            When::Text(text) => text.parse().ok().or_else(|| millis(text)),
        };
        let at = at.ok_or_else(|| "the timestamp is neither milliseconds nor an ISO 8601 time".to_owned())?;
        return Ok(Given { stream, at, message: made.message });
    }
    let at = serde_json::from_str::<Matched<'_>>(text).ok().and_then(|event| millis(&event.time));
    Ok(Given { stream, at: at.unwrap_or_else(|| envelope.created.millis()), message: text.into() })
}

/// The stream that a sender's events go to: the one it names, or one a day and sender, made by us, with a name as AWS makes
/// them up. Always the same for an envelope, so that a second delivery finds the stream of the first.
fn stream_of(envelope: &Envelope) -> String {
    if let Some(name) = envelope.attributes.get(attribute::LOG_STREAM) {
        return name.clone();
    }
    let from = envelope.from.as_ref().map_or(envelope.principal.as_str(), Arn::as_str);
    let day = envelope.created.secs().div_euclid(86_400);
    let halves = [0, 1].map(|half| crate::token::fingerprint(&format!("{half} {day} {from}")));
    let hex = format!("{:016x}{:016x}", halves[0], halves[1]);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The milliseconds of `2026-01-31T23:59:59Z`, with or without a fraction of a second.
fn millis(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let number = |text: &str, digits: usize| {
        let plain = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
        if plain { text.parse::<i64>().ok() } else { None }
    };
    let mut date = date.splitn(3, '-');
    let (year, month, day) = (number(date.next()?, 4)?, number(date.next()?, 2)?, number(date.next()?, 2)?);
    let mut time = time.splitn(3, ':');
    let (hour, minute, second) = (number(time.next()?, 2)?, number(time.next()?, 2)?, number(time.next()?, 2)?);
    let fraction = format!("{:0<3}", fraction.get(..fraction.len().min(3))?);
    // Civil date to days, Howard Hinnant's algorithm: <https://howardhinnant.github.io/date_algorithms.html>
    let year = year - i64::from(month <= 2);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = year.div_euclid(400) * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + number(&fraction, 3)?)
}

impl GroupTarget {
    async fn put_all(&self, envelopes: &[Envelope]) -> Vec<Verdict> {
        let Some(to) = envelopes.first().map(|envelope| &envelope.to) else { return Vec::new() };
        let group = self.0.group_in(to).unwrap_or_default();
        let room = match self.0.room(group) {
            Ok(room) => room,
            Err(error) => return vec![Verdict::from(&error); envelopes.len()],
        };
        let days = self.0.catalog.read(|state| state.groups.get(group).and_then(|group| group.retention_days));
        let policies = self.policies();
        let checked = |envelope| {
            let given = self.checked(envelope, days)?;
            self.admitted(&policies, group, envelope, &given).map(|()| given)
        };
        let all: Vec<_> = envelopes.iter().map(checked).collect();
        let fit: Vec<&Given<'_>> = all.iter().flatten().collect();
        match self.append(group, &room, &fit).await {
            Ok(()) => {
                all.into_iter().map(|given| given.map_or_else(|v| v, |_| Verdict::Accepted(Bytes::new()))).collect()
            }
            Err(error) => all.into_iter().map(|given| given.map_or_else(|v| v, |_| Verdict::from(&error))).collect(),
        }
    }

    /// The resource policies.
    fn policies(&self) -> Vec<Arc<Policy>> {
        self.0.catalog.read(|state| state.policies.values().map(|policy| policy.ready()).collect())
    }

    /// Other services come in as the policies say, and not without one. Who comes with a role comes as the account.
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-cloudwatchlogs-permissions>
    fn admitted(
        &self,
        policies: &[Arc<Policy>],
        group: &str,
        envelope: &Envelope,
        given: &Given<'_>,
    ) -> Result<(), Verdict> {
        let stream = format!("{}:log-stream:{}", self.0.arn(group), given.stream);
        let who = Who::service(&envelope.principal, envelope.role.as_ref());
        // Who has no stream yet must be let make one.
        let makes = self.0.shown(group, &given.stream).is_err().then_some("logs:CreateLogStream");
        for action in makes.into_iter().chain(["logs:PutLogEvents"]) {
            let request = Request::new(who, action, &stream, &self.0.home.account);
            let request = request.sent(envelope.from.as_ref(), self.0.world.now());
            admit(policies.iter().map(Arc::as_ref), &request)
                .map_err(|refusal| Verdict::refused(common::ACCESS_DENIED.name, request.refused(refusal)))?;
        }
        Ok(())
    }

    /// The event that an envelope is, where PutLogEvents would take it.
    fn checked<'a>(&self, envelope: &'a Envelope, days: Option<i32>) -> Result<Given<'a>, Verdict> {
        let given = given(envelope).map_err(refused)?;
        let now = self.0.world.now().millis();
        let taken =
            batch::check(&[(given.at, given.message.len())], now, days).map_err(|why| refused(why.to_string()))?;
        if taken.events.is_empty() {
            let at = Timestamp::from_millis(given.at).iso_millis();
            return Err(refused(format!("the time stamp {at} is too old or too new for the log group")));
        }
        if given.message.is_empty() {
            return Err(refused("the message is empty".to_owned()));
        }
        Ok(given)
    }

    async fn append(&self, group: &str, room: &Arc<Room>, all: &[&Given<'_>]) -> Result<(), ApiError> {
        let mut numbers: BTreeMap<&str, u64> = BTreeMap::new();
        for given in all {
            if !numbers.contains_key(given.stream.as_str()) {
                numbers.insert(&given.stream, self.0.stream_for(group, &given.stream).await?);
            }
        }
        let events = all.iter().map(|given| (numbers[given.stream.as_str()], given.at, &*given.message));
        self.0.append(room, events).await
    }
}

fn refused(why: String) -> Verdict {
    Verdict::refused(INVALID_PARAMETER_EXCEPTION.name, why)
}

impl Target for GroupTarget {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            let all = self.put_all(std::slice::from_ref(envelope)).await;
            all.into_iter().next().expect("there are as many verdicts as envelopes")
        })
    }

    fn deliver_all<'a>(&'a self, envelopes: &'a [Envelope]) -> BoxFuture<'a, Vec<Verdict>> {
        Box::pin(self.put_all(envelopes))
    }

    /// What comes together is one append.
    fn batch(&self, _to: &Arn) -> usize {
        100
    }

    /// Appends share one fsync.
    fn concurrency(&self, _to: &Arn) -> usize {
        64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for at in [0, 951_782_399_999, 951_782_400_000, 1_507_060_005_123, 1_800_000_000_001] {
            let at = Timestamp::from_millis(at);
            assert_eq!(millis(&at.iso_millis()), Some(at.millis()));
            assert_eq!(millis(&at.iso_secs()), Some(at.secs() * 1000));
        }
        assert_eq!(millis("1970-01-01T00:00:00.5Z"), Some(500));
        for text in ["", "now", "1970-01-01", "1970-01-01T00:00Z", "1970-01-01T00:00:00", "197-01-01T00:00:00Z", "é"] {
            assert_eq!(millis(text), None, "{text}");
        }
    }
}
