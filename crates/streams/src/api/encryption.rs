//! Encryption at rest, on and off.
//!
//! There is no KMS in the house: every key id that could be one of this account's stands for the configured master key. A
//! stream that is started with another key id goes on under another data key.

use crate::Streams;
use crate::error;
use crate::limits::{DAY, ENCRYPTIONS_PER_DAY};
use crate::state::{Change, Encryption, Stream, log_prefix};
use crate::streams::asked;
use names::{Arn, Home, Timestamp};
use shapes::kinesis::{EncryptionType, StartStreamEncryptionInput, StopStreamEncryptionInput, errors};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StartStreamEncryption.html>
pub(crate) async fn start_stream_encryption(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: StartStreamEncryptionInput,
) -> Result<Nothing, ApiError> {
    let name = streams.name_of(asked!(input))?.to_owned();
    streams.admit(&call, Some(&name))?;
    check_type(input.encryption_type)?;
    check_key(streams.home(), &input.key_id)?;
    if !streams.store().can_seal() {
        return Err(errors::KMS_NOT_FOUND_EXCEPTION.because(format!(
            "Key '{}' does not exist: this Headwater has no master key. Put 32 random bytes (or 64 hexadecimal digits) into \
             a file outside the data directory, name it as master_key_file under [encryption] in the configuration, and \
             start the server again.",
            input.key_id
        )));
    }
    let now = streams.world().now();
    let home = streams.home().clone();
    // Refused before a data key is made for nothing; and again below, where it counts.
    let stream = streams.find(asked!(input))?;
    if !stream.def.is_active() {
        return Err(error::not_active(&home, &name, stream.def.status));
    }
    check_rate(&home, &stream.def, &stream.def.encrypted, now)?;
    let key = streams.store().make_key(&log_prefix(&name)).await?;
    let encryption = Encryption { key_id: input.key_id, key: key.0 };
    let created = stream.def.created;
    let decided = streams.update(name.clone(), move |_, stream| {
        if stream.created != created {
            return Err(error::no_stream(&home, &name));
        }
        check_rate(&home, stream, &stream.encrypted, now)?;
        let encrypted = Change::Encrypted { name: name.clone(), encryption: Some(encryption), at: now };
        Ok(vec![encrypted, Change::Updating { name, reshape: None }])
    });
    decided.await?;
    Ok(Nothing {})
}

/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StopStreamEncryption.html>
///
/// What was put before stays encrypted, and readable.
pub(crate) async fn stop_stream_encryption(
    streams: Arc<Streams>,
    call: Arc<Call>,
    input: StopStreamEncryptionInput,
) -> Result<Nothing, ApiError> {
    let name = streams.name_of(asked!(input))?.to_owned();
    streams.admit(&call, Some(&name))?;
    check_type(input.encryption_type)?;
    check_key(streams.home(), &input.key_id)?;
    let (home, now, key) = (streams.home().clone(), streams.world().now(), input.key_id);
    let decided = streams.update(name.clone(), move |_, stream| {
        let account = &home.account;
        let Some(encryption) = &stream.encryption else {
            return Err(error::argument(format!("Stream {name} under account {account} is not encrypted.")));
        };
        if resource(&encryption.key_id) != resource(&key) {
            return Err(error::argument(format!(
                "Stream {name} under account {account} is not encrypted under key {key}, but under {}.",
                encryption.key_id
            )));
        }
        check_rate(&home, stream, &stream.decrypted, now)?;
        let decrypted = Change::Encrypted { name: name.clone(), encryption: None, at: now };
        Ok(vec![decrypted, Change::Updating { name, reshape: None }])
    });
    decided.await?;
    Ok(Nothing {})
}

fn check_type(kind: EncryptionType) -> Result<(), ApiError> {
    match kind {
        EncryptionType::Kms => Ok(()),
        EncryptionType::None => {
            Err(error::argument("EncryptionType NONE is not valid for this operation. The only valid value is KMS."))
        }
    }
}

fn check_rate(home: &Home, stream: &Stream, times: &[Timestamp], now: Timestamp) -> Result<(), ApiError> {
    if times.iter().filter(|at| now.since(**at) < DAY).count() < ENCRYPTIONS_PER_DAY {
        return Ok(());
    }
    Err(errors::LIMIT_EXCEEDED_EXCEPTION.because(format!(
        "The encryption of stream {} under account {} can be started and stopped {ENCRYPTIONS_PER_DAY} times each within 24 \
         hours.",
        stream.name, home.account
    )))
}

/// Refuses what is no key id, alias or ARN of either, and what cannot be a key of this account and region.
fn check_key(home: &Home, key: &str) -> Result<(), ApiError> {
    let named = resource(key);
    let is_alias = named.strip_prefix("alias/").is_some_and(is_alias);
    if !is_alias && !is_key_id(named) {
        return Err(error::argument(format!(
            "Invalid KeyId {key}: it must be the id of a key, an alias that begins with alias/, or the ARN of either."
        )));
    }
    if let Ok(arn) = key.parse::<Arn>() {
        let sound = arn.service() == "kms" && (arn.resource_after("key/").is_some() || is_alias);
        if !sound {
            return Err(error::argument(format!("Invalid KeyId {key}: it is not the ARN of a key or an alias.")));
        }
        if arn.region() != home.region.as_str() || arn.account() != home.account.as_str() {
            return Err(errors::KMS_NOT_FOUND_EXCEPTION.because(format!("Key '{key}' does not exist")));
        }
    }
    Ok(())
}

/// What is left of a key id without what an ARN says besides.
fn resource(key: &str) -> &str {
    let resource = if key.starts_with("arn:") { key.splitn(6, ':').nth(5).unwrap_or(key) } else { key };
    resource.strip_prefix("key/").unwrap_or(resource)
}

/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html>
fn is_alias(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_-".contains(&b))
}

/// A UUID, or `mrk-` and 32 hexadecimal digits.
fn is_key_id(id: &str) -> bool {
    let hex = |text: &str, len: usize| text.len() == len && text.bytes().all(|b| b.is_ascii_hexdigit());
    let mut parts = id.split('-');
    let uuid = [8, 4, 4, 4, 12].into_iter().all(|len| parts.next().is_some_and(|part| hex(part, len)));
    (uuid && parts.next().is_none()) || id.strip_prefix("mrk-").is_some_and(|rest| hex(rest, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_ids_are_told_from_what_is_none() {
        let home = Home::default();
        let uuid = "12345678-1234-1234-1234-1234567890ab";
        for good in [
            uuid,
            "alias/aws/kinesis",
            "alias/Mine_2",
            "mrk-0123456789abcdef0123456789abcdef",
            &format!("arn:aws:kms:us-east-1:000000000000:key/{uuid}"),
            "arn:aws:kms:us-east-1:000000000000:alias/mine",
        ] {
            assert!(check_key(&home, good).is_ok(), "{good}");
        }
        for (bad, error) in [
            ("alias/", "InvalidArgumentException"),
            ("mine", "InvalidArgumentException"),
            ("12345678-1234-1234-1234", "InvalidArgumentException"),
            ("alias/a b", "InvalidArgumentException"),
            (&format!("arn:aws:s3:us-east-1:000000000000:key/{uuid}"), "InvalidArgumentException"),
            (&format!("arn:aws:kms:us-east-1:000000000000:{uuid}"), "InvalidArgumentException"),
            (&format!("arn:aws:kms:eu-west-1:000000000000:key/{uuid}"), "KMSNotFoundException"),
            ("arn:aws:kms:us-east-1:123456789012:alias/mine", "KMSNotFoundException"),
        ] {
            assert_eq!(check_key(&home, bad).unwrap_err().model.name, error, "{bad}");
        }
        assert_eq!(resource(&format!("arn:aws:kms:us-east-1:000000000000:key/{uuid}")), uuid);
        assert_eq!(resource("arn:aws:kms:us-east-1:000000000000:alias/mine"), "alias/mine");
    }
}
