//! What a stream and its consumers did between two looks at a server's status.

use super::formula::{effective_records_per_s, shards_needed, shards_to_keep_up};
use serde_json::Value;

/// A stream over an interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The interval.
    pub seconds: f64,
    /// Shards that take records.
    pub shards: u32,
    pub records_per_s: f64,
    pub in_kb_per_s: f64,
    /// What readers through GetRecords took.
    pub read_kb_per_s: f64,
    pub consumers: Vec<Consumer>,
}

/// An event source mapping on the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Consumer {
    pub function: String,
    pub state: String,
    pub result: String,
    pub lag_ms: u64,
    /// Whether it reads through a consumer with throughput of its own.
    pub fan_out: bool,
    pub lanes: u32,
    pub batch_size: u32,
    /// What it did in the interval.
    pub batches: f64,
    pub records: f64,
    pub tries: f64,
    pub busy_s: f64,
    pub last_s: f64,
}

/// What becomes of a consumer.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It does not read.
    Off,
    /// Nothing came, so nothing is known.
    Idle,
    /// Records came, and it got through with none.
    Stuck,
    /// It works off so many records a second at most, which is enough.
    KeepsUp(f64),
    /// It works off so many, which is not enough; so many shards would be.
    FallsBehind(f64, u32),
}

impl Reading {
    /// Of two statuses of a server. `None` where the stream is in neither or only one of them.
    pub fn between(before: &Value, after: &Value, stream: &str, seconds: f64) -> Option<Reading> {
        let find = |status: &Value| {
            let rows = status["streams"].as_array()?;
            rows.iter().find(|row| row["name"] == stream).cloned()
        };
        let (old, new) = (find(before)?, find(after)?);
        // A counter below what it was has started anew.
        let grew = |old: &Value, new: &Value| {
            let (old, new) = (old.as_f64().unwrap_or(0.0), new.as_f64().unwrap_or(0.0));
            if new >= old { new - old } else { new }
        };
        let rate = |field: &str| grew(&old[field], &new[field]) / seconds;
        let mine = |row: &&Value| {
            let source = row["source"].as_str().unwrap_or_default();
            let path = source.split_once(":stream/").map_or("", |(_, path)| path);
            path.split('/').next() == Some(stream)
        };
        let rows = |status: &Value| status["mappings"].as_array().cloned().unwrap_or_default();
        let (earlier, latest) = (rows(before), rows(after));
        let consumers = latest.iter().filter(mine).map(|row| {
            let was = earlier.iter().find(|old| old["uuid"] == row["uuid"]).unwrap_or(&Value::Null);
            let grown = |field: &str| grew(&was["pace"][field], &row["pace"][field]);
            let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
            Consumer {
                function: text("function"),
                state: text("state"),
                result: text("result"),
                lag_ms: row["lag_ms"].as_u64().unwrap_or(0),
                fan_out: text("source").contains("/consumer/"),
                lanes: row["lanes"].as_u64().unwrap_or(1).max(1) as u32,
                batch_size: row["batch_size"].as_u64().unwrap_or(1) as u32,
                batches: grown("batches"),
                records: grown("records"),
                tries: grown("tries"),
                busy_s: grown("busy_ms") / 1000.0,
                last_s: grown("last_ms") / 1000.0,
            }
        });
        Some(Reading {
            seconds,
            shards: new["shards"].as_u64()? as u32,
            records_per_s: rate("incoming_records"),
            in_kb_per_s: rate("incoming_bytes") / 1000.0,
            read_kb_per_s: rate("outgoing_bytes") / 1000.0,
            consumers: consumers.collect(),
        })
    }

    /// What is read from the throughput that the consumers of a shard share.
    pub fn out_kb_per_s(&self) -> f64 {
        let sharing = self.consumers.iter().filter(|consumer| !consumer.fan_out && consumer.reads()).count();
        self.read_kb_per_s.max(self.in_kb_per_s * sharing as f64)
    }

    /// Shards that carry the traffic, whatever the functions do.
    pub fn carry(&self) -> u32 {
        shards_needed(self.in_kb_per_s, self.out_kb_per_s(), self.records_per_s)
    }

    /// What becomes of a consumer.
    pub fn verdict(&self, consumer: &Consumer) -> Verdict {
        if !consumer.reads() {
            return Verdict::Off;
        }
        if consumer.batches == 0.0 {
            return if self.records_per_s > 0.0 { Verdict::Stuck } else { Verdict::Idle };
        }
        let (batch, seconds) = (consumer.batch(), consumer.seconds());
        let works = effective_records_per_s(self.shards, consumer.lanes, batch, seconds);
        if works >= self.records_per_s {
            return Verdict::KeepsUp(works);
        }
        Verdict::FallsBehind(works, shards_to_keep_up(self.records_per_s, consumer.lanes, batch, seconds))
    }

    /// How many shards would carry the traffic and let every consumer keep up that more shards can help.
    pub fn cure(&self) -> u32 {
        let of = |consumer: &Consumer| match self.verdict(consumer) {
            Verdict::FallsBehind(_, shards) => shards,
            _ => 1,
        };
        self.consumers.iter().map(of).max().unwrap_or(1).max(self.carry())
    }
}

impl Consumer {
    fn reads(&self) -> bool {
        !matches!(self.state.as_str(), "Disabled" | "Disabling" | "Deleting")
    }

    /// Records a batch.
    pub fn batch(&self) -> f64 {
        self.records / self.batches
    }

    /// Seconds a batch, with all its tries.
    pub fn seconds(&self) -> f64 {
        (self.busy_s / self.batches).max(1e-6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(records: u64, batches: u64, tries: u64, busy_ms: f64) -> Value {
        json!({
            "streams": [
                {"name": "other", "shards": 9, "incoming_records": 0, "incoming_bytes": 0, "outgoing_bytes": 0},
                {"name": "s", "shards": 2, "incoming_records": records, "incoming_bytes": records * 100,
                 "outgoing_bytes": 0},
            ],
            "mappings": [
                {"uuid": "u", "function": "f", "source": "arn:aws:kinesis:us-east-1:0:stream/s", "state": "Enabled",
                 "result": "OK", "lag_ms": 7, "lanes": 1, "batch_size": 1000,
                 "pace": {"batches": batches, "records": batches * 1000, "tries": tries, "busy_ms": busy_ms,
                          "last_ms": batches as f64 * 1700.0}},
                {"uuid": "v", "function": "g", "source": "arn:aws:kinesis:us-east-1:0:stream/s2", "state": "Enabled"},
            ],
        })
    }

    /// 100,000 records a minute, 1.7 s per 1,000 of them: two shards fall behind, three or four keep up.
    #[test]
    fn the_published_example_falls_behind() {
        let reading =
            Reading::between(&status(5000, 2, 2, 3400.0), &status(105_000, 72, 72, 122_400.0), "s", 60.0).unwrap();
        assert_eq!(reading.consumers.len(), 1, "of this stream alone");
        assert_eq!((reading.records_per_s.round(), reading.carry()), (1667.0, 2));
        let Verdict::FallsBehind(works, 3) = reading.verdict(&reading.consumers[0]) else {
            panic!("{reading:?}");
        };
        assert_eq!(works as u32, 1176);
        assert_eq!(reading.cure(), 3);
        let four = Reading { shards: 4, ..reading };
        assert!(matches!(four.verdict(&four.consumers[0]), Verdict::KeepsUp(works) if works as u32 == 2352));
    }

    #[test]
    fn tries_and_pauses_count() {
        let reading = Reading::between(&status(0, 0, 0, 0.0), &status(10_000, 10, 60, 46_240.0), "s", 10.0).unwrap();
        let consumer = &reading.consumers[0];
        assert_eq!(
            (consumer.tries / consumer.batches, (consumer.busy_s / consumer.last_s * 100.0).round()),
            (6.0, 272.0)
        );
    }

    #[test]
    fn what_cannot_be_said_is_not() {
        let idle = Reading::between(&status(0, 3, 3, 9.0), &status(0, 3, 3, 9.0), "s", 1.0).unwrap();
        assert_eq!(idle.verdict(&idle.consumers[0]), Verdict::Idle);
        let stuck = Reading::between(&status(0, 3, 3, 9.0), &status(10, 3, 3, 9.0), "s", 1.0).unwrap();
        assert_eq!(stuck.verdict(&stuck.consumers[0]), Verdict::Stuck);
        let anew = Reading::between(&status(50, 3, 3, 9.0), &status(10, 1, 1, 5.0), "s", 1.0).unwrap();
        assert_eq!((anew.records_per_s, anew.consumers[0].batches), (10.0, 1.0), "the server was started anew");
        assert_eq!(Reading::between(&status(0, 0, 0, 0.0), &status(0, 0, 0, 0.0), "none", 1.0), None);
    }
}
