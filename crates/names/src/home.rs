use crate::Arn;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A twelve-digit AWS account number.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Account(String);

/// A region's name, such as `us-east-1`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Region(String);

/// Why a text is not an account or a region.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not twelve digits.
    #[error("an account id is twelve digits, not {0:?}")]
    Account(String),
    /// Not lower-case letters, digits and hyphens.
    #[error("a region is lower-case letters, digits and hyphens, not {0:?}")]
    Region(String),
}

impl Account {
    /// Parses a twelve-digit account number.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Account(text.to_owned()))
        } else {
            Err(NameError::Account(text.to_owned()))
        }
    }
    /// The twelve digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Region {
    /// Parses a region's name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let fine = !text.is_empty()
            && text.len() <= 32
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fine { Ok(Region(text.to_owned())) } else { Err(NameError::Region(text.to_owned())) }
    }
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The one account and region a server speaks for. Services build their ARNs from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// The account every resource belongs to.
    pub account: Account,
    /// The region every resource lives in.
    pub region: Region,
}

impl Home {
    /// `arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE`.
    pub fn arn(&self, service: &str, resource: &str) -> Arn {
        Arn::new(service, self.region.as_str(), self.account.as_str(), resource)
    }
    /// Whether a resource with this ARN would be here: in this account and region.
    pub fn holds(&self, arn: &Arn) -> bool {
        arn.partition() == "aws" && arn.region() == self.region.as_str() && arn.account() == self.account.as_str()
    }
    /// `arn:aws:SERVICE::ACCOUNT:RESOURCE`, as global services (IAM, STS) name theirs.
    pub fn global_arn(&self, service: &str, resource: &str) -> Arn {
        Arn::new(service, "", self.account.as_str(), resource)
    }
}

impl Default for Home {
    fn default() -> Self {
        Home { account: Account("000000000000".into()), region: Region("us-east-1".into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_twelve_digits() {
        assert!(Account::parse("123456789012").is_ok());
        assert!(Account::parse("12345678901").is_err());
        assert!(Account::parse("12345678901a").is_err());
    }

    #[test]
    fn homes_name_their_resources() {
        let home = Home::default();
        assert_eq!(home.arn("kinesis", "stream/a").to_string(), "arn:aws:kinesis:us-east-1:000000000000:stream/a");
        assert_eq!(home.global_arn("iam", "user/a").to_string(), "arn:aws:iam::000000000000:user/a");
    }
}
