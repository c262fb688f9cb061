//! One log event as a record of its group's log: `[kind 1][stream, 8 bytes][time, 8 bytes][message]`.

/// The only kind there is.
const KIND: u8 = 1;
const HEAD: usize = 17;

/// An event, as it lies in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event<'a> {
    /// The number of its stream.
    pub(crate) stream: u64,
    /// When it happened, in milliseconds.
    pub(crate) at: i64,
    /// Its message, in UTF-8.
    pub(crate) message: &'a [u8],
}

/// A record that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a log group's record {index} is no event")]
pub(crate) struct NotAnEvent {
    pub(crate) index: u64,
}

impl<'a> Event<'a> {
    /// Bytes of its record.
    pub(crate) fn size(&self) -> usize {
        HEAD + self.message.len()
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.push(KIND);
        out.extend_from_slice(&self.stream.to_le_bytes());
        out.extend_from_slice(&self.at.to_le_bytes());
        out.extend_from_slice(self.message);
    }

    pub(crate) fn read(index: u64, record: &'a [u8]) -> Result<Event<'a>, NotAnEvent> {
        let parts = record.split_first().filter(|(kind, _)| **kind == KIND);
        let parts = parts.and_then(|(_, rest)| rest.split_first_chunk::<8>());
        let parts = parts.and_then(|(stream, rest)| Some((stream, rest.split_first_chunk::<8>()?)));
        let Some((stream, (at, message))) = parts else { return Err(NotAnEvent { index }) };
        Ok(Event { stream: u64::from_le_bytes(*stream), at: i64::from_le_bytes(*at), message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn events_go_there_and_back(stream: u64, at: i64, message: Vec<u8>) {
            let event = Event { stream, at, message: &message };
            let mut record = Vec::new();
            event.write(&mut record);
            prop_assert_eq!(record.len(), event.size());
            prop_assert_eq!(Event::read(0, &record), Ok(event));
        }

        #[test]
        fn anything_else_is_refused(record in prop::collection::vec(any::<u8>(), 0..17)) {
            prop_assert_eq!(Event::read(3, &record), Err(NotAnEvent { index: 3 }));
        }
    }
}
