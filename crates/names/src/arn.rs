use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// An Amazon Resource Name: `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
///
/// Region and account may be empty, the resource may contain colons.
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Arn {
    text: Box<str>,
    /// Where each of the five inner colons stands.
    colons: [u16; 5],
}

/// Why a text is not an ARN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an ARN (arn:partition:service:region:account:resource): {0:?}")]
pub struct ArnError(pub String);

impl Arn {
    /// An ARN in the `aws` partition.
    pub fn new(service: &str, region: &str, account: &str, resource: &str) -> Arn {
        Arn::from_str(&format!("arn:aws:{service}:{region}:{account}:{resource}"))
            .expect("the parts of an ARN built by the house hold no colon before the resource")
    }
    fn part(&self, index: usize) -> &str {
        &self.text[self.colons[index] as usize + 1..self.colons[index + 1] as usize]
    }
    /// The partition, `aws` almost always.
    pub fn partition(&self) -> &str {
        self.part(0)
    }
    /// The service, such as `kinesis`.
    pub fn service(&self) -> &str {
        self.part(1)
    }
    /// The region; empty for global services.
    pub fn region(&self) -> &str {
        self.part(2)
    }
    /// The account; empty for some resources.
    pub fn account(&self) -> &str {
        self.part(3)
    }
    /// All that follows the account, such as `stream/orders` or `function:resize:PROD`.
    pub fn resource(&self) -> &str {
        &self.text[self.colons[4] as usize + 1..]
    }
    /// The resource behind a prefix, such as `orders` of `stream/orders` for `stream/`.
    pub fn resource_after(&self, prefix: &str) -> Option<&str> {
        self.resource().strip_prefix(prefix)
    }
    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Arn {
    type Err = ArnError;
    fn from_str(text: &str) -> Result<Arn, ArnError> {
        let refuse = || ArnError(text.chars().take(2048).collect());
        if text.len() > 2048 || !text.starts_with("arn:") {
            return Err(refuse());
        }
        let mut colons = [0u16; 5];
        let mut places = text.bytes().enumerate().filter(|(_, b)| *b == b':').map(|(i, _)| i as u16);
        for colon in &mut colons {
            *colon = places.next().ok_or_else(refuse)?;
        }
        let arn = Arn { text: text.into(), colons };
        if arn.partition().is_empty() || arn.service().is_empty() || arn.resource().is_empty() {
            return Err(refuse());
        }
        Ok(arn)
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl fmt::Debug for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl Serialize for Arn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}
impl<'de> Deserialize<'de> for Arn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Arn, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_are_found() {
        let arn: Arn = "arn:aws:lambda:eu-west-1:123456789012:function:f:PROD".parse().unwrap();
        assert_eq!(arn.service(), "lambda");
        assert_eq!(arn.region(), "eu-west-1");
        assert_eq!(arn.account(), "123456789012");
        assert_eq!(arn.resource(), "function:f:PROD");
        assert_eq!(arn.resource_after("function:"), Some("f:PROD"));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "arn", "arn:aws", "arn:aws:s3:::", "arn::s3:::b", "urn:aws:s3:::b", "arn:aws:::x:y"] {
            assert!(text.parse::<Arn>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused_without_panic(text in ".{0,80}") {
            if let Ok(arn) = text.parse::<Arn>() {
                prop_assert_eq!(arn.to_string(), text);
            }
        }
    }
}
