//! Tumbling windows: which records belong together, and the state that is carried from one invocation to the next. Pure.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-windows.html>

use crate::limits::{WINDOW_GRACE, WINDOW_STATE};
use consume::Note;
use names::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::time::Duration;

/// A window that records were put into and that is not final.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Window {
    /// Its first moment, in milliseconds.
    start_ms: i64,
    /// The first moment after it.
    end_ms: i64,
    /// What the function made of its records so far.
    state: Box<RawValue>,
}

/// What an invocation is to its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// One of several.
    Some,
    /// The last: the window is over.
    Final,
    /// The last with this state, which is too large; the window goes on with a new one.
    Early,
}

/// What comes next for a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The records that arrived before this moment belong to the open window.
    Fill(Timestamp),
    /// The open window is over.
    Close,
    /// There is nothing to do.
    Wait,
}

impl Window {
    /// The window of this width that a moment is in, without state. Windows are aligned to 1970.
    fn around(at: Timestamp, width: Duration) -> Window {
        let width_ms = (width.as_millis() as i64).max(1);
        let start_ms = at.millis().div_euclid(width_ms) * width_ms;
        Window { start_ms, end_ms: start_ms + width_ms, state: empty() }
    }

    /// The window that a note keeps.
    pub(crate) fn read(note: &Note) -> Option<Window> {
        serde_json::from_str(&note.text).ok()
    }

    /// The note that keeps it, and wakes the handler when it is over.
    pub(crate) fn note(&self) -> Note {
        let text = serde_json::to_string(self).expect("numbers and JSON are JSON");
        Note { wake_at: self.end().plus(WINDOW_GRACE), text }
    }

    fn end(&self) -> Timestamp {
        Timestamp::from_millis(self.end_ms)
    }

    /// Takes the state of an answer over; whether it is too large, and the window is to be ended early.
    pub(crate) fn carry(&mut self, state: String) -> bool {
        let too_large = state.len() > WINDOW_STATE;
        self.state = RawValue::from_string(state).unwrap_or_else(|_| empty());
        too_large
    }

    /// It goes on without state.
    pub(crate) fn restart(&mut self) {
        self.state = empty();
    }

    /// What an event says of its window, after its records.
    pub(crate) fn tail(&self, part: Part, shard: &str, source: &Arn) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        format!(
            ",\"window\":{{\"start\":\"{}\",\"end\":\"{}\"}},\"state\":{},\"shardId\":{},\"eventSourceARN\":{},\
             \"isFinalInvokeForWindow\":{},\"isWindowTerminatedEarly\":{}}}",
            Timestamp::from_millis(self.start_ms).iso_secs(),
            self.end().iso_secs(),
            self.state.get(),
            quoted(shard),
            quoted(source.as_str()),
            part == Part::Final,
            part == Part::Early,
        )
    }
}

fn empty() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).expect("it is JSON")
}

/// What comes next, where `first` is when the next record arrived, and `all_read` that none is left of those before `now`.
/// A window is opened where a record needs one.
pub(crate) fn next(
    open: &mut Option<Window>,
    first: Option<Timestamp>,
    width: Duration,
    ended: bool,
    all_read: bool,
    now: Timestamp,
) -> Next {
    match (open.as_ref(), first) {
        (Some(window), Some(first)) if first >= window.end() => Next::Close,
        (Some(window), Some(_)) => Next::Fill(window.end()),
        (None, Some(first)) => {
            let window = open.insert(Window::around(first, width));
            Next::Fill(window.end())
        }
        (Some(_), None) if ended => Next::Close,
        (Some(window), None) if all_read && now >= window.end().plus(WINDOW_GRACE) => Next::Close,
        (_, None) => Next::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn the_documented_fields() {
        let mut window = Window::around(at(1_607_497_475_000), Duration::from_secs(120));
        assert!(!window.carry(r#"{"1":282}"#.to_owned()));
        let arn: Arn = "arn:aws:kinesis:us-east-1:123456789012:stream/s".parse().unwrap();
        let tail = window.tail(Part::Final, "shardId-000000000006", &arn);
        let event: serde_json::Value = serde_json::from_str(&format!("{{\"Records\":[]{tail}")).unwrap();
        let expected = serde_json::json!({
            "Records": [], "window": {"start": "2020-12-09T07:04:00Z", "end": "2020-12-09T07:06:00Z"},
            "state": {"1": 282}, "shardId": "shardId-000000000006", "eventSourceARN": arn,
            "isFinalInvokeForWindow": true, "isWindowTerminatedEarly": false,
        });
        assert_eq!(event, expected);
        let back = Window::read(&window.note()).unwrap();
        assert_eq!(back.tail(Part::Final, "s", &arn), window.tail(Part::Final, "s", &arn));
    }

    #[test]
    fn state_over_a_megabyte_ends_the_window_early() {
        let mut window = Window::around(at(0), Duration::from_secs(1));
        assert!(window.carry(format!("\"{}\"", "x".repeat(WINDOW_STATE))));
        window.restart();
        assert_eq!(window.state.get(), "{}");
    }

    proptest! {
        /// Sums per window, by whatever batches the records come, equal those by time.
        #[test]
        fn each_record_is_in_the_window_of_its_time(
            gaps in proptest::collection::vec(0i64..4000, 1..60), batch in 1usize..9, width_s in 1u64..10,
        ) {
            let width = Duration::from_secs(width_s);
            let mut now = 0;
            let times: Vec<i64> = gaps.into_iter().map(|gap| { now += gap; now }).collect();
            let (mut open, mut sums, mut count) = (None, Vec::new(), 0usize);
            for (i, records) in times.chunks(batch).enumerate() {
                let ended = (i + 1) * batch >= times.len();
                let mut rest = records;
                loop {
                    match next(&mut open, rest.first().map(|t| at(*t)), width, ended, true, at(0)) {
                        Next::Fill(end) => {
                            let n = rest.iter().take_while(|t| at(**t) < end).count();
                            prop_assert!(n > 0);
                            count += n;
                            rest = &rest[n..];
                        }
                        Next::Close => {
                            let window: Window = open.take().unwrap();
                            sums.push((window.start_ms, std::mem::take(&mut count)));
                        }
                        Next::Wait => break,
                    }
                }
            }
            let mut expected: Vec<(i64, usize)> = Vec::new();
            for t in &times {
                let start = t / (width_s as i64 * 1000) * (width_s as i64 * 1000);
                match expected.last_mut().filter(|(last, _)| *last == start) {
                    Some((_, n)) => *n += 1,
                    None => expected.push((start, 1)),
                }
            }
            prop_assert_eq!(sums, expected);
        }
    }
}
