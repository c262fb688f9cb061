//! Shard iterators and page tokens: opaque to clients, authenticated with the catalog's key, so that nobody can make one up
//! and one handed out before a restart still works after it.

use base64_simd::STANDARD;
use names::Timestamp;
use ring::hmac;
use serde::{Deserialize, Serialize};

/// What AWS's iterators start with, too.
const ITERATOR: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 1];
const PAGE: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 2];
const TAG: usize = 32;
/// No token is longer: stream names have at most 128 bytes.
const LONGEST: usize = 1024;

/// The key that tokens are authenticated with.
pub(crate) struct TokenKey(hmac::Key);

/// Where a reader stands in a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShardIterator {
    /// When it was handed out.
    pub(crate) issued: Timestamp,
    /// When its stream was created: the name may be used again.
    pub(crate) created: Timestamp,
    /// The shard's number.
    pub(crate) shard: u32,
    /// The position of the next record.
    pub(crate) position: u64,
    /// The stream's name.
    pub(crate) stream: String,
}

/// Where a listing goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Page {
    /// `ListStreams`.
    Streams {
        /// The last stream listed.
        after: String,
    },
    /// `ListShards`.
    Shards {
        /// When the token was handed out.
        issued: Timestamp,
        /// The stream.
        stream: String,
        /// When the stream was created.
        created: Timestamp,
        /// The last shard listed.
        after: u32,
        /// Which shards are listed at all.
        filter: ShardFilter,
    },
    /// `ListStreamConsumers`.
    Consumers {
        /// When the token was handed out.
        issued: Timestamp,
        /// When the stream was created.
        created: Timestamp,
        /// The last consumer listed.
        after: String,
    },
}

/// Which shards a `ListShards` call gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) enum ShardFilter {
    /// All that are not yet forgotten.
    #[default]
    All,
    /// Those that were open at a time.
    OpenAt(Timestamp),
    /// Those that were open at a time or later.
    OpenFrom(Timestamp),
    /// Those that are open now.
    OpenNow,
}

impl TokenKey {
    /// From the catalog's secret.
    pub(crate) fn new(secret: &[u8]) -> TokenKey {
        TokenKey(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    fn seal(&self, mut bytes: Vec<u8>) -> String {
        let tag = hmac::sign(&self.0, &bytes);
        bytes.extend_from_slice(tag.as_ref());
        STANDARD.encode_to_string(&bytes)
    }

    fn open(&self, kind: [u8; 8], text: &str) -> Option<Vec<u8>> {
        if text.len() > LONGEST {
            return None;
        }
        let mut bytes = STANDARD.decode_to_vec(text).ok()?;
        let end = bytes.len().checked_sub(TAG).filter(|end| *end >= kind.len() && bytes[..kind.len()] == kind)?;
        hmac::verify(&self.0, &bytes[..end], &bytes[end..]).ok()?;
        bytes.truncate(end);
        bytes.drain(..kind.len());
        Some(bytes)
    }

    /// Writes an iterator.
    pub(crate) fn seal_iterator(&self, iterator: &ShardIterator) -> String {
        let mut bytes = Vec::with_capacity(8 + 28 + iterator.stream.len() + TAG);
        bytes.extend_from_slice(&ITERATOR);
        bytes.extend_from_slice(&iterator.issued.micros().to_be_bytes());
        bytes.extend_from_slice(&iterator.created.micros().to_be_bytes());
        bytes.extend_from_slice(&iterator.shard.to_be_bytes());
        bytes.extend_from_slice(&iterator.position.to_be_bytes());
        bytes.extend_from_slice(iterator.stream.as_bytes());
        self.seal(bytes)
    }

    /// Reads an iterator that this server has handed out; `None` for any other text.
    pub(crate) fn open_iterator(&self, text: &str) -> Option<ShardIterator> {
        let bytes = self.open(ITERATOR, text)?;
        let (issued, rest) = bytes.split_first_chunk()?;
        let (created, rest) = rest.split_first_chunk()?;
        let (shard, rest) = rest.split_first_chunk()?;
        let (position, stream) = rest.split_first_chunk()?;
        Some(ShardIterator {
            issued: Timestamp(i64::from_be_bytes(*issued)),
            created: Timestamp(i64::from_be_bytes(*created)),
            shard: u32::from_be_bytes(*shard),
            position: u64::from_be_bytes(*position),
            stream: std::str::from_utf8(stream).ok()?.to_owned(),
        })
    }

    /// Writes a page token.
    pub(crate) fn seal_page(&self, page: &Page) -> String {
        let mut bytes = PAGE.to_vec();
        serde_json::to_writer(&mut bytes, page).expect("a page token is plain data");
        self.seal(bytes)
    }

    /// Reads a page token that this server has handed out; `None` for any other text.
    pub(crate) fn open_page(&self, text: &str) -> Option<Page> {
        serde_json::from_slice(&self.open(PAGE, text)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn iterator() -> ShardIterator {
        let (issued, created) = (Timestamp(1), Timestamp(-2));
        ShardIterator { issued, created, shard: 3, position: u64::MAX, stream: "orders".into() }
    }

    #[test]
    fn iterators_go_there_and_back() {
        let key = TokenKey::new(b"secret");
        assert_eq!(key.open_iterator(&key.seal_iterator(&iterator())), Some(iterator()));
    }

    #[test]
    fn another_key_or_kind_is_refused() {
        let key = TokenKey::new(b"secret");
        assert_eq!(TokenKey::new(b"other").open_iterator(&key.seal_iterator(&iterator())), None);
        let page = Page::Streams { after: "a".into() };
        assert_eq!(key.open_page(&key.seal_page(&page)), Some(page.clone()));
        assert_eq!(key.open_iterator(&key.seal_page(&page)), None);
    }

    proptest! {
        #[test]
        fn any_change_is_refused(at in 0usize..80, bit in 0u8..8) {
            let key = TokenKey::new(b"secret");
            let mut bytes = STANDARD.decode_to_vec(key.seal_iterator(&iterator())).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(key.open_iterator(&STANDARD.encode_to_string(&bytes)), None);
        }

        #[test]
        fn any_text_is_refused_without_panic(text in ".{0,200}") {
            prop_assert_eq!(TokenKey::new(b"secret").open_iterator(&text), None);
        }
    }
}
