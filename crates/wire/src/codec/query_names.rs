//! What members are called in the query protocols: rules over the model, in one place for requests and answers.

use crate::{ErrorModel, Kind, Member, Protocol, Schema, ServiceModel};
use std::borrow::Cow;

/// A flavour of the query protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// The query protocol: names from the model.
    Query,
    /// EC2's.
    Ec2,
    /// A service that moved to JSON: its model lost the query names, and what they were follows from the shapes.
    Compatible,
}

/// Query names of members that follow no rule. Source: the last query model of SQS.
const IRREGULAR: &[(&str, &str)] = &[("Actions", "ActionName")];

/// Query codes of errors that the JSON model of a service that moved no longer tells, and that clients go by.
/// Source: the `awsQueryError` traits of SQS's model and
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
const CODES: &[(&str, &str)] = &[
    ("BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"),
    ("BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong"),
    ("EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest"),
    ("InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId"),
    ("MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"),
    ("PurgeQueueInProgress", "AWS.SimpleQueueService.PurgeQueueInProgress"),
    ("QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently"),
    ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"),
    ("QueueNameExists", "QueueAlreadyExists"),
    ("TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"),
    ("UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation"),
];

/// The code of an error in the query protocols.
pub(super) fn code(service: Option<&ServiceModel>, error: &ErrorModel) -> &'static str {
    let moved = service.is_some_and(|s| s.query_compatible) && error.code == error.name;
    let found = CODES.iter().find(|(name, _)| moved && *name == error.name);
    found.map_or(error.code, |(_, code)| code)
}

impl Dialect {
    pub(super) fn of(service: &ServiceModel, protocol: Protocol) -> Dialect {
        match protocol {
            Protocol::Ec2Query => Dialect::Ec2,
            _ if service.query_compatible => Dialect::Compatible,
            _ => Dialect::Query,
        }
    }

    /// What a member is called in a request.
    pub(super) fn parameter(self, member: &Member) -> Cow<'static, str> {
        match self {
            Dialect::Ec2 => match member.query_name {
                Some(name) => Cow::Borrowed(name),
                None => upper_first(member.wire),
            },
            Dialect::Query | Dialect::Compatible => self.element(member),
        }
    }

    /// What a member is called in an answer.
    pub(super) fn element(self, member: &Member) -> Cow<'static, str> {
        match (self, &member.schema.kind) {
            (Dialect::Query | Dialect::Ec2, Kind::List { member_name: Some(name), flattened: true, .. }) => {
                Cow::Borrowed(name)
            }
            (Dialect::Compatible, Kind::List { member: item, member_name, flattened: true }) => match item.kind {
                Kind::Structure { .. } => Cow::Borrowed(member_name.unwrap_or(item.name)),
                _ => member_name.map_or_else(|| singular(member.wire), Cow::Borrowed),
            },
            (Dialect::Compatible, Kind::Map { flattened: true, .. }) => singular(member.wire),
            _ => Cow::Borrowed(member.wire),
        }
    }

    /// The level between a list and its items; `None` where the list is flattened.
    pub(super) fn item(self, list: &Schema) -> Option<&'static str> {
        match list.kind {
            Kind::List { flattened: true, .. } => None,
            Kind::List { member_name, .. } => {
                Some(member_name.unwrap_or(if self == Dialect::Ec2 { "item" } else { "member" }))
            }
            _ => None,
        }
    }

    /// What the key and the value of a map's entry are called, given what the map is called.
    pub(super) fn key_and_value(self, map: &Schema, called: &str) -> (&'static str, &'static str) {
        let Kind::Map { key_name, value_name, .. } = map.kind else { return ("key", "value") };
        match self {
            Dialect::Compatible if called == "Tag" => (key_name.unwrap_or("Key"), value_name.unwrap_or("Value")),
            Dialect::Compatible => (key_name.unwrap_or("Name"), value_name.unwrap_or("Value")),
            Dialect::Query | Dialect::Ec2 => (key_name.unwrap_or("key"), value_name.unwrap_or("value")),
        }
    }
}

/// What a member is called in a request to EC2, which is what EC2's error messages call it.
pub(crate) fn ec2_parameter(member: &Member) -> Cow<'static, str> {
    Dialect::Ec2.parameter(member)
}

/// Whether a map's entries stand without a level of their own.
pub(super) fn flattened_map(map: &Schema) -> bool {
    matches!(map.kind, Kind::Map { flattened: true, .. })
}

fn singular(name: &'static str) -> Cow<'static, str> {
    if let Some((_, irregular)) = IRREGULAR.iter().find(|(plural, _)| *plural == name) {
        return Cow::Borrowed(irregular);
    }
    upper_first(name.strip_suffix('s').unwrap_or(name))
}

fn upper_first(name: &'static str) -> Cow<'static, str> {
    let mut chars = name.chars();
    match chars.next() {
        Some(first) if first.is_lowercase() => Cow::Owned(first.to_uppercase().chain(chars).collect()),
        _ => Cow::Borrowed(name),
    }
}
