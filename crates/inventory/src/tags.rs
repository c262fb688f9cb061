//! The rules for tags.
//! Source: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions>

use crate::error::{INVALID_VALUE, MISSING_PARAMETER, TAG_LIMIT};
use crate::limits::{TAG_KEY, TAG_VALUE, TAGS};
use shapes::ec2::Tag;
use std::collections::BTreeMap;
use wire::ApiError;

/// Tags as given, checked. A tag without a value has an empty one.
pub(crate) fn check(tags: Vec<Tag>) -> Result<BTreeMap<String, String>, ApiError> {
    let mut out = BTreeMap::new();
    for tag in tags {
        let Some(key) = tag.key.filter(|key| !key.is_empty()) else {
            return Err(MISSING_PARAMETER.because("The request must contain the parameter Tag.N.Key"));
        };
        let value = tag.value.unwrap_or_default();
        reserved(&key)?;
        if key.chars().count() > TAG_KEY {
            return Err(INVALID_VALUE.because(format!("Tag key exceeds the maximum length of {TAG_KEY} characters")));
        }
        if value.chars().count() > TAG_VALUE {
            return Err(
                INVALID_VALUE.because(format!("Tag value exceeds the maximum length of {TAG_VALUE} characters"))
            );
        }
        if out.insert(key.clone(), value).is_some() {
            return Err(INVALID_VALUE.because(format!("Duplicate tag key '{key}' specified.")));
        }
    }
    Ok(out)
}

pub(crate) fn reserved(key: &str) -> Result<(), ApiError> {
    if key.to_ascii_lowercase().starts_with("aws:") {
        let why = format!(
            "Value ( {key} ) for parameter key is invalid. Tag keys starting with 'aws:' are reserved for internal use"
        );
        return Err(INVALID_VALUE.because(why));
    }
    Ok(())
}

/// Whether a resource with some tags may take these as well.
pub(crate) fn fit(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Result<(), ApiError> {
    let added = new.keys().filter(|key| !old.contains_key(*key)).count();
    if old.len() + added > TAGS {
        let why = format!("The maximum number of Tags for a resource has been reached: {TAGS}.");
        return Err(TAG_LIMIT.because(why));
    }
    Ok(())
}

pub(crate) fn shape(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: Some(key.clone()), value: Some(value.clone()) }).collect()
}
