use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, RwLock};

/// What a metric counts in, by CloudWatch's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// A plain number.
    Count,
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// A share of a whole: recorded in thousandths, told as a fraction.
    Ratio,
}

/// A metric's definition. Each crate keeps its own in `signals.rs`; nobody passes a raw name.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signal {
    /// CloudWatch's namespace, such as `AWS/Kinesis`, or `Headwater` for our own.
    pub namespace: &'static str,
    /// CloudWatch's metric name, such as `PutRecord.Bytes`.
    pub name: &'static str,
    /// The unit.
    pub unit: Unit,
    /// The names of its dimensions, such as `["StreamName"]`.
    pub dimensions: &'static [&'static str],
}

/// One metric with fixed dimension values: count, sum, minimum and maximum since the start. Hot paths keep the `Arc`.
#[derive(Debug)]
pub struct Series {
    count: AtomicU64,
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
}

/// What a series holds at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// How many values were recorded.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
    /// The least.
    pub min: u64,
    /// The greatest.
    pub max: u64,
}

impl Series {
    /// Records one value.
    pub fn record(&self, value: u64) {
        self.count.fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
        // Looked at first: mostly neither changes, and a write takes the line from the other processors.
        if value < self.min.load(Relaxed) {
            self.min.fetch_min(value, Relaxed);
        }
        if value > self.max.load(Relaxed) {
            self.max.fetch_max(value, Relaxed);
        }
    }
    /// Reads it.
    pub fn sample(&self) -> Sample {
        let count = self.count.load(Relaxed);
        let min = if count == 0 { 0 } else { self.min.load(Relaxed) };
        Sample { count, sum: self.sum.load(Relaxed), min, max: self.max.load(Relaxed) }
    }
}

type Key = (&'static Signal, Vec<String>);

/// Where the house's own metrics go. Bounded: past `MAX_SERIES` new series share one overflow series.
#[derive(Default)]
pub struct Meter {
    series: RwLock<BTreeMap<Key, Arc<Series>>>,
}

const MAX_SERIES: usize = 100_000;

impl Meter {
    /// The series of a signal with these dimension values (in the order of `signal.dimensions`).
    pub fn series(&self, signal: &'static Signal, values: &[&str]) -> Arc<Series> {
        debug_assert_eq!(signal.dimensions.len(), values.len(), "{}", signal.name);
        let mut key: Key = (signal, values.iter().map(|v| (*v).to_owned()).collect());
        if let Some(found) = self.series.read().expect("no panic holds this lock").get(&key) {
            return found.clone();
        }
        let mut all = self.series.write().expect("no panic holds this lock");
        if all.len() >= MAX_SERIES {
            key.1 = vec!["(others)".to_owned(); values.len()];
        }
        all.entry(key).or_insert_with(|| Arc::new(Series::empty())).clone()
    }
    /// Records one value: for places that are not hot.
    pub fn record(&self, signal: &'static Signal, values: &[&str], value: u64) {
        self.series(signal, values).record(value);
    }
    /// All series now, in a stable order.
    pub fn samples(&self) -> Vec<(&'static Signal, Vec<String>, Sample)> {
        let all = self.series.read().expect("no panic holds this lock");
        all.iter().map(|((signal, values), s)| (*signal, values.clone(), s.sample())).collect()
    }
    /// The Prometheus text format: a `_count` and a `_sum` per series, and `_max`.
    pub fn prometheus(&self) -> String {
        let mut out = String::new();
        let mut last = "";
        for (signal, values, sample) in self.samples() {
            let name = prometheus_name(signal);
            if last != signal.name {
                let _ = writeln!(out, "# TYPE {name} summary");
                last = signal.name;
            }
            let mut labels = String::new();
            for (k, v) in signal.dimensions.iter().zip(&values) {
                let v = v.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                let _ = write!(labels, "{}{k}=\"{v}\"", if labels.is_empty() { "" } else { "," });
            }
            let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
            let told = |value: u64| if signal.unit == Unit::Ratio { value as f64 / 1000.0 } else { value as f64 };
            let _ = writeln!(out, "{name}_count{labels} {}", sample.count);
            let _ = writeln!(out, "{name}_sum{labels} {}", told(sample.sum));
            let _ = writeln!(out, "{name}_max{labels} {}", told(sample.max));
        }
        out
    }
}

impl Series {
    fn empty() -> Series {
        Series {
            count: AtomicU64::new(0),
            sum: AtomicU64::new(0),
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
        }
    }
}

fn prometheus_name(signal: &Signal) -> String {
    let unit = match signal.unit {
        Unit::Count | Unit::Ratio => "",
        Unit::Bytes => "_bytes",
        Unit::Milliseconds => "_milliseconds",
        Unit::Seconds => "_seconds",
    };
    let mut name: String = format!("{}_{}", signal.namespace, signal.name)
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect();
    if !name.ends_with(unit) {
        name.push_str(unit);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    static PUTS: Signal =
        Signal { namespace: "AWS/Kinesis", name: "PutRecord.Bytes", unit: Unit::Bytes, dimensions: &["StreamName"] };

    #[test]
    fn samples_add_up_and_print() {
        let meter = Meter::default();
        meter.record(&PUTS, &["a\"b"], 3);
        meter.record(&PUTS, &["a\"b"], 5);
        assert_eq!(meter.samples()[0].2, Sample { count: 2, sum: 8, min: 3, max: 5 });
        assert!(meter.prometheus().contains("aws_kinesis_putrecord_bytes_sum{StreamName=\"a\\\"b\"} 8\n"));
    }

    #[test]
    fn shares_are_told_as_fractions() {
        static BUSY: Signal = Signal { namespace: "AWS/Lambda", name: "Busy", unit: Unit::Ratio, dimensions: &[] };
        let meter = Meter::default();
        meter.record(&BUSY, &[], 250);
        meter.record(&BUSY, &[], 500);
        assert!(meter.prometheus().contains("aws_lambda_busy_sum 0.75\naws_lambda_busy_max 0.5\n"));
    }
}
