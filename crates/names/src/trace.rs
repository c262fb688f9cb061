use serde::{Deserialize, Serialize};

/// The X-Ray trace a record travels in: `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`.
/// Source: <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TraceContext(String);

impl TraceContext {
    /// A new trace started at `secs` (since the epoch) with 96 random bits.
    pub fn start(secs: i64, random: [u8; 12]) -> TraceContext {
        let hex: String = random.iter().map(|b| format!("{b:02x}")).collect();
        TraceContext(format!("Root=1-{:08x}-{hex}", secs as u32))
    }
    /// Takes a header as it came, when it is a trace header at all.
    pub fn from_header(text: &str) -> Option<TraceContext> {
        let fine = text.starts_with("Root=1-") && text.len() <= 256 && text.bytes().all(|b| (0x20..0x7f).contains(&b));
        fine.then(|| TraceContext(text.to_owned()))
    }
    /// The header's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
