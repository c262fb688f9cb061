//! An envelope's bytes: `version (1) | length of head, u32 LE | head, JSON | body, raw`. The head is the [`Envelope`]
//! without its body. A change that an older program would misread needs a new version; a new optional field does not.
//! Version 1; version 2, the same, where the envelope is unfit for its target, to whom an older program would hand it.

use crate::{Envelope, attribute};
use bytes::{Buf, BufMut, Bytes, BytesMut};

const VERSION: u8 = 1;
const VERSION_OF_UNFIT: u8 = 2;

/// Takes the envelope, because its body is moved, not copied, out of the head.
pub(crate) fn encode(mut envelope: Envelope) -> Bytes {
    let body = std::mem::take(&mut envelope.body);
    // JSON has no NaN: a factor that counts as one is written as one.
    envelope.policy.backoff.factor = envelope.policy.backoff.factor();
    let mut out = BytesMut::with_capacity(512 + body.len());
    out.put_u8(if envelope.attributes.contains_key(attribute::UNFIT) { VERSION_OF_UNFIT } else { VERSION });
    out.put_u32_le(0);
    let mut head = (&mut out).writer();
    serde_json::to_writer(&mut head, &envelope).expect("an envelope has only keys that JSON can carry");
    let length = u32::try_from(out.len() - 5).expect("a head is far smaller than 4 GiB");
    out[1..5].copy_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&body);
    out.freeze()
}

/// Reads an envelope; its body is a slice of `bytes`. The error says what is wrong with them.
pub(crate) fn decode(mut bytes: Bytes) -> Result<Envelope, String> {
    let version = bytes.try_get_u8().map_err(|_| "it is empty")?;
    if !matches!(version, VERSION | VERSION_OF_UNFIT) {
        return Err(format!("it has version {version}; this program reads {VERSION} and {VERSION_OF_UNFIT}"));
    }
    let length = bytes.try_get_u32_le().map_err(|_| "it is cut short")? as usize;
    if length > bytes.len() {
        return Err("it is cut short".into());
    }
    let head = bytes.split_to(length);
    let mut envelope: Envelope = serde_json::from_slice(&head).map_err(|error| error.to_string())?;
    envelope.body = bytes;
    Ok(envelope)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::RetryPolicy;
    use names::{Arn, Timestamp, TraceContext};
    use proptest::prelude::*;
    use std::time::Duration;

    pub(crate) fn envelope() -> Envelope {
        Envelope {
            id: "e1".into(),
            to: Arn::new("sqs", "us-east-1", "000000000000", "orders"),
            body: Bytes::from_static(b"hello"),
            attributes: Default::default(),
            from: None,
            principal: "events.amazonaws.com".into(),
            role: None,
            policy: RetryPolicy::default(),
            dead_letter: None,
            trace: None,
            not_before: None,
            created: Timestamp(1_767_225_600_000_000),
        }
    }

    #[test]
    fn a_factor_that_is_no_number_is_written_as_one() {
        let mut e = envelope();
        e.policy.backoff.factor = f64::NAN;
        assert_eq!(decode(encode(e)).unwrap().policy.backoff.factor, 1.0);
    }

    #[test]
    fn what_is_unfit_is_not_for_older_programs() {
        let mut e = envelope();
        assert_eq!(encode(e.clone())[0], 1);
        e.attributes.insert(attribute::UNFIT.into(), "why".into());
        assert_eq!((encode(e.clone())[0], decode(encode(e.clone()))), (2, Ok(e)));
    }

    #[test]
    fn another_version_is_refused_by_number() {
        let mut bytes = encode(envelope()).to_vec();
        bytes[0] = 9;
        assert!(decode(bytes.into()).unwrap_err().contains("version 9"));
    }

    #[test]
    fn the_body_is_raw_and_the_head_is_small() {
        let mut e = envelope();
        e.body = vec![0xff; 1000].into();
        let bytes = encode(e);
        assert!(bytes.ends_with(&[0xff; 1000]));
        assert!(bytes.len() < 1400, "{}", bytes.len());
    }

    prop_compose! {
        fn any_arn()(resource in "[a-z:/]{1,20}") -> Arn { Arn::new("lambda", "eu-west-1", "123456789012", &resource) }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            id in ".{0,20}", to in any_arn(), from in proptest::option::of(any_arn()),
            dead_letter in proptest::option::of(any_arn()), role in proptest::option::of(any_arn()),
            body in proptest::collection::vec(any::<u8>(), 0..200),
            attributes in proptest::collection::btree_map(".{0,10}", ".{0,10}", 0..4),
            max_attempts: u32, age in 0u64..u64::MAX, factor in 0u32..80, jitter: bool,
            traced: bool, not_before in proptest::option::of(any::<i64>()), created: i64,
        ) {
            let mut policy = RetryPolicy { max_attempts, max_age: Duration::from_secs(age), ..Default::default() };
            policy.backoff.factor = 1.0 + f64::from(factor) / 16.0;
            policy.backoff.jitter = jitter;
            let e = Envelope {
                id, to, from, dead_letter, role, attributes, policy,
                body: body.into(),
                principal: "sns.amazonaws.com".into(),
                trace: traced.then(|| TraceContext::start(5, [7; 12])),
                not_before: not_before.map(Timestamp),
                created: Timestamp(created),
            };
            prop_assert_eq!(decode(encode(e.clone())).unwrap(), e);
        }

        #[test]
        fn any_bytes_decode_or_are_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..60), ours: bool) {
            if ours && !bytes.is_empty() {
                bytes[0] = VERSION;
            }
            let _ = decode(bytes.into());
        }
    }
}
