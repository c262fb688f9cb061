//! What an account sets for its text messages, who does not want any, and what they have cost. Pure.
//! Source: <https://docs.aws.amazon.com/sns/latest/api/API_SetSMSAttributes.html>

use crate::limits::OPT_IN_AGAIN;
use names::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is kept of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Texting {
    /// The attributes as they were given.
    pub(crate) settings: BTreeMap<String, String>,
    /// Numbers that want no messages, and since when.
    pub(crate) opted_out: BTreeMap<String, Timestamp>,
    /// When numbers were opted in again last.
    pub(crate) opted_in: BTreeMap<String, Timestamp>,
    /// What was spent this month.
    pub(crate) spent: Spent,
}

/// What was spent in a month.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spent {
    /// Such as `2026-11`.
    pub(crate) month: String,
    /// Millionths of a dollar.
    pub(crate) micro_usd: u64,
}

/// What may happen to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum TextingChange {
    /// All attributes.
    Set(BTreeMap<String, String>),
    /// A number wants no more messages.
    OptedOut { number: String, at: Timestamp },
    /// A number wants messages again.
    OptedIn { number: String, at: Timestamp },
    /// A message was paid for.
    Paid { month: String, micro_usd: u64 },
}

pub(crate) const DEFAULT_SENDER: &str = "DefaultSenderID";
pub(crate) const DEFAULT_TYPE: &str = "DefaultSMSType";
pub(crate) const LOG_ROLE: &str = "DeliveryStatusIAMRole";
pub(crate) const LOG_RATE: &str = "DeliveryStatusSuccessSamplingRate";
const LIMIT: &str = "MonthlySpendLimit";

impl Texting {
    pub(crate) fn apply(&mut self, change: &TextingChange) {
        match change {
            TextingChange::Set(settings) => self.settings = settings.clone(),
            TextingChange::OptedOut { number, at } => drop(self.opted_out.insert(number.clone(), *at)),
            TextingChange::OptedIn { number, at } => {
                self.opted_out.remove(number);
                self.opted_in.insert(number.clone(), *at);
            }
            TextingChange::Paid { month, micro_usd } => {
                if self.spent.month != *month {
                    self.spent = Spent { month: month.clone(), micro_usd: 0 };
                }
                self.spent.micro_usd += micro_usd;
            }
        }
    }

    pub(crate) fn of(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// Whether a message of this price goes beyond the month's limit.
    pub(crate) fn is_too_dear(&self, month: &str, micro_usd: u64) -> bool {
        let spent = if self.spent.month == month { self.spent.micro_usd } else { 0 };
        let limit = self.of(LIMIT).and_then(|text| text.parse::<f64>().ok());
        limit.is_some_and(|usd| (spent + micro_usd) as f64 > usd * 1e6)
    }

    /// Whether a number may be opted in: once in thirty days.
    /// Source: <https://docs.aws.amazon.com/sns/latest/api/API_OptInPhoneNumber.html>
    pub(crate) fn may_opt_in(&self, number: &str, now: Timestamp) -> bool {
        self.opted_in.get(number).is_none_or(|at| at.plus(OPT_IN_AGAIN) <= now)
    }
}

/// Refuses what cannot be set. Whether messages have a price, and deliveries a log, is the configuration's to say.
pub(crate) fn check(name: &str, value: &str, priced: bool, logged: bool) -> Result<(), String> {
    let in_words = |fine: bool, why: &str| if fine { Ok(()) } else { Err(why.to_owned()) };
    match name {
        DEFAULT_SENDER => {
            let fine = (1..=11).contains(&value.len())
                && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && value.bytes().any(|b| b.is_ascii_alphabetic());
            in_words(fine || value.is_empty(), "1 to 11 letters and digits, one letter at least")
        }
        DEFAULT_TYPE => {
            in_words(matches!(value, "Promotional" | "Transactional"), "must be Promotional or Transactional")
        }
        LIMIT if !priced => Err("what messages cost is not configured: price-micro-usd in [sms] or [smpp]".to_owned()),
        LIMIT => {
            in_words(value.parse::<f64>().is_ok_and(|usd| usd >= 0.0 && usd.is_finite()), "must be an amount in USD")
        }
        LOG_ROLE if !logged => Err("Headwater has no logs to write to in this configuration".to_owned()),
        LOG_ROLE => in_words(value.is_empty() || is_role(value), "must be the ARN of a role"),
        LOG_RATE => in_words(is_percentage(value), "must be a number from 0 to 100"),
        "UsageReportS3Bucket" => Err("Headwater does not serve usage reports yet".to_owned()),
        _ => Err("there is no such attribute".to_owned()),
    }
}

/// Whether it is the ARN of a role.
pub(crate) fn is_role(text: &str) -> bool {
    text.parse::<Arn>().is_ok_and(|arn| arn.service() == "iam" && arn.resource().starts_with("role/"))
}

/// Whether it is a whole number from 0 to 100.
pub(crate) fn is_percentage(text: &str) -> bool {
    text.parse::<u8>().is_ok_and(|rate| rate <= 100)
}

/// Whether an answer to a text message asks for no more of them.
/// Source: <https://docs.aws.amazon.com/sns/latest/dg/sms_manage.html>
pub(crate) fn says_stop(text: &str) -> bool {
    let word = text.trim().trim_end_matches(['.', '!']).to_ascii_uppercase();
    ["ARRET", "CANCEL", "END", "OPT-OUT", "OPTOUT", "QUIT", "REMOVE", "STOP", "TD", "UNSUBSCRIBE"]
        .contains(&word.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set() {
        for (name, value, fine) in [
            (DEFAULT_SENDER, "Ops", true),
            (DEFAULT_SENDER, "12345", false),
            (DEFAULT_SENDER, "TwelveLetters", false),
            (DEFAULT_TYPE, "Transactional", true),
            (DEFAULT_TYPE, "Other", false),
            (LIMIT, "1.5", true),
            (LIMIT, "-1", false),
            (LOG_ROLE, "arn:aws:iam::000000000000:role/sms", true),
            (LOG_ROLE, "arn:aws:iam::000000000000:user/sms", false),
            (LOG_RATE, "101", false),
            ("UsageReportS3Bucket", "b", false),
            ("Colour", "red", false),
        ] {
            assert_eq!(check(name, value, true, true).is_ok(), fine, "{name} {value}");
        }
        assert!(check(LIMIT, "1", false, true).unwrap_err().contains("price"));
        assert!(check(LOG_ROLE, "arn:aws:iam::000000000000:role/sms", true, false).is_err());
    }

    #[test]
    fn a_months_limit_holds_for_its_month() {
        let mut texting = Texting::default();
        assert!(!texting.is_too_dear("2026-11", u64::from(u32::MAX)), "no limit");
        texting.apply(&TextingChange::Set([(LIMIT.to_owned(), "0.01".to_owned())].into()));
        assert!(!texting.is_too_dear("2026-11", 7_500));
        texting.apply(&TextingChange::Paid { month: "2026-11".into(), micro_usd: 7_500 });
        assert!(texting.is_too_dear("2026-11", 7_500));
        assert!(!texting.is_too_dear("2026-12", 7_500));
    }

    #[test]
    fn who_opts_out_and_in() {
        let mut texting = Texting::default();
        let number = "+15551230000";
        assert!(says_stop(" stop ") && says_stop("Unsubscribe.") && !says_stop("don't stop"));
        texting.apply(&TextingChange::OptedOut { number: number.into(), at: Timestamp(1) });
        assert!(texting.opted_out.contains_key(number) && texting.may_opt_in(number, Timestamp(2)));
        texting.apply(&TextingChange::OptedIn { number: number.into(), at: Timestamp(2) });
        assert!(texting.opted_out.is_empty() && !texting.may_opt_in(number, Timestamp(3)));
        assert!(texting.may_opt_in(number, Timestamp(2).plus(OPT_IN_AGAIN)));
    }
}
