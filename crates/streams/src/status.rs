//! What status pages show of the streams.

use crate::Streams;
use serde_json::{Value, json};

impl Streams {
    /// Every stream with its shards, records kept and bytes.
    pub fn status(&self) -> Value {
        let streams = self.all();
        let rows = streams.iter().map(|stream| {
            let extents: Vec<_> = stream.shards.iter().map(|shard| self.store().extent(shard.log)).collect();
            json!({
                "name": stream.def.name,
                "status": stream.def.status.as_str(),
                "shards": stream.def.open_shards(),
                "records": extents.iter().map(|e| e.next - e.first).sum::<u64>(),
                "incoming_records": stream.intake.read().0,
                "incoming_bytes": stream.intake.read().1,
                "outgoing_bytes": stream.series.get_records.bytes.sample().sum,
                "bytes": extents.iter().map(|e| e.bytes).sum::<u64>(),
            })
        });
        rows.collect()
    }
}
