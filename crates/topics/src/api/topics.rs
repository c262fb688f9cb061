//! Topics: made, listed, set, deleted.

use super::{bad_token, tags};
use crate::access::{FORM, default_policy};
use crate::error::{invalid, invalid_because, no_topic, not_served};
use crate::limits::{PAGE, TOPIC_NAME_LENGTH, TOPICS};
use crate::policy::DeliveryPolicy;
use crate::settings::{SettingError, TopicSettings};
use crate::signing::Version;
use crate::state::Change;
use crate::{Topics, feedback};
use policies::{PolicyError, Unfit};
use shapes::sns::errors::TOPIC_LIMIT_EXCEEDED_EXCEPTION;
use shapes::sns::{
    CreateTopicInput, CreateTopicResponse, DeleteTopicInput, GetTopicAttributesInput, GetTopicAttributesResponse,
    ListTopicsInput, ListTopicsResponse, SetTopicAttributesInput, Topic,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::page::page;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html>
pub(super) async fn create_topic(
    topics: Arc<Topics>,
    _: Arc<Call>,
    input: CreateTopicInput,
) -> Result<CreateTopicResponse, ApiError> {
    let name = input.name;
    let given = input.attributes.unwrap_or_default();
    let fifo = given.get("FifoTopic").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    check_name(&name, fifo)?;
    if input.data_protection_policy.is_some_and(|policy| !policy.is_empty()) {
        return Err(not_served("DataProtectionPolicy", "data protection policies"));
    }
    let mut settings = TopicSettings { fifo, ..TopicSettings::default() };
    for (attribute, value) in &given {
        set(&topics, &mut settings, &name, attribute, value)?;
    }
    let tags = tags::given(input.tags.unwrap_or_default())?;
    let (arn, born) = (topics.arn(&name), topics.world.now());
    topics
        .catalog
        .change(|state| {
            let Some(known) = state.topics.get(&name) else {
                if state.topics.len() >= TOPICS {
                    let text = "You have reached the limit of topics for this account.";
                    return Err(TOPIC_LIMIT_EXCEEDED_EXCEPTION.because(text));
                }
                return Ok((vec![Change::Created { name: name.clone(), settings, tags, born }], ()));
            };
            // What is given must be so already: making a topic again does not change it.
            let mut same = known.settings.clone();
            for (attribute, value) in &given {
                same.set(attribute, value)?;
            }
            if same != known.settings {
                return Err(invalid_because("Attributes", "Topic already exists with different attributes"));
            }
            if !tags.is_empty() && tags != known.tags {
                return Err(invalid_because("Tags", "Topic already exists with different tags"));
            }
            Ok((vec![], ()))
        })
        .await?;
    Ok(CreateTopicResponse { topic_arn: Some(arn.to_string()) })
}

fn check_name(name: &str, fifo: bool) -> Result<(), ApiError> {
    let stem = name.strip_suffix(".fifo");
    if fifo && stem.is_none() {
        let why = "Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase ASCII letters, \
                   numbers, underscores, and hyphens, and must be between 1 and 256 characters long.";
        return Err(invalid_because("Topic Name", why));
    }
    let body = stem.filter(|_| fifo).unwrap_or(name);
    let fine = TOPIC_NAME_LENGTH.contains(&name.len())
        && !body.is_empty()
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if fine { Ok(()) } else { Err(invalid("Topic Name")) }
}

/// Sets an attribute of a topic that this configuration can serve.
fn set(topics: &Topics, settings: &mut TopicSettings, topic: &str, name: &str, value: &str) -> Result<(), ApiError> {
    if feedback::is_attribute(name) && !value.is_empty() && topics.log.get().is_none() {
        return Err(not_served(name, "delivery status logs in this configuration"));
    }
    settings.set(name, value)?;
    if let Some(policy) = settings.policy.as_ref().filter(|_| name == "Policy") {
        FORM.check(policy, topics.arn(topic).as_str(), &*topics.identities).map_err(|why| match why {
            Unfit::Malformed(PolicyError::NoSuchPrincipal(_)) => invalid("Policy Error: PrincipalNotFound"),
            Unfit::UnknownAction(_) => invalid("Policy statement action out of service scope!"),
            other => SettingError::policy(&other).into(),
        })?;
    }
    Ok(())
}

/// <https://docs.aws.amazon.com/sns/latest/api/API_DeleteTopic.html>: a topic that is not there is deleted already.
pub(super) async fn delete_topic(
    topics: Arc<Topics>,
    call: Arc<Call>,
    input: DeleteTopicInput,
) -> Result<Nothing, ApiError> {
    let name = topics.asked(&call, &input.topic_arn)?;
    topics
        .catalog
        .change(|state| {
            let known = state.topics.contains_key(&name);
            let changes = if known { vec![Change::Deleted { name }] } else { vec![] };
            Ok::<_, ApiError>((changes, ()))
        })
        .await?;
    Ok(Nothing {})
}

/// <https://docs.aws.amazon.com/sns/latest/api/API_ListTopics.html>
pub(super) async fn list_topics(
    topics: Arc<Topics>,
    _: Arc<Call>,
    input: ListTopicsInput,
) -> Result<ListTopicsResponse, ApiError> {
    let part = (input.next_token.as_deref(), PAGE);
    let entry = |name: &str, _: &_| Some(Topic { topic_arn: Some(topics.arn(name).to_string()) });
    let page = topics.catalog.read(|state| page("topics", &state.topics, part, entry));
    let (list, next_token) = page.ok_or_else(bad_token)?;
    Ok(ListTopicsResponse { topics: Some(list), next_token })
}

/// <https://docs.aws.amazon.com/sns/latest/api/API_GetTopicAttributes.html>
pub(super) async fn get_topic_attributes(
    topics: Arc<Topics>,
    call: Arc<Call>,
    input: GetTopicAttributesInput,
) -> Result<GetTopicAttributesResponse, ApiError> {
    let name = topics.asked(&call, &input.topic_arn)?;
    let arn = topics.arn(&name);
    let attributes = topics
        .catalog
        .read(|state| {
            let topic = state.topics.get(&name)?;
            let pending = topic.subscriptions.values().filter(|s| s.pending_until.is_some()).count();
            let settings = &topic.settings;
            let delivery = settings.delivery.as_ref();
            let mut out = vec![
                ("TopicArn", arn.to_string()),
                ("Owner", topics.home.account.to_string()),
                ("DisplayName", settings.display_name.clone()),
                ("Policy", settings.policy.clone().unwrap_or_else(|| default_policy(&arn, &topics.home))),
                ("SubscriptionsConfirmed", (topic.subscriptions.len() - pending).to_string()),
                ("SubscriptionsPending", pending.to_string()),
                ("SubscriptionsDeleted", topic.gone.to_string()),
                ("EffectiveDeliveryPolicy", DeliveryPolicy::effective_of_topic(delivery)),
            ];
            out.extend(delivery.map(|policy| ("DeliveryPolicy", policy.text.clone())));
            if settings.signature != Version::One {
                out.push(("SignatureVersion", settings.signature.as_str().to_owned()));
            }
            if settings.fifo {
                let scope = if settings.by_group { "MessageGroup" } else { "Topic" };
                out.push(("FifoTopic", "true".to_owned()));
                out.push(("ContentBasedDeduplication", settings.by_content.to_string()));
                out.push(("FifoThroughputScope", scope.to_owned()));
            }
            let mut out: BTreeMap<String, String> =
                out.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            out.extend(settings.feedback.clone());
            Some(out)
        })
        .ok_or_else(no_topic)?;
    Ok(GetTopicAttributesResponse { attributes: Some(attributes) })
}

/// <https://docs.aws.amazon.com/sns/latest/api/API_SetTopicAttributes.html>
pub(super) async fn set_topic_attributes(
    topics: Arc<Topics>,
    call: Arc<Call>,
    input: SetTopicAttributesInput,
) -> Result<Nothing, ApiError> {
    let name = topics.asked(&call, &input.topic_arn)?;
    topics
        .catalog
        .change(|state| {
            let mut settings = state.topics.get(&name).ok_or_else(no_topic)?.settings.clone();
            let value = input.attribute_value.as_deref().unwrap_or_default();
            set(&topics, &mut settings, &name, &input.attribute_name, value)?;
            Ok::<_, ApiError>((vec![Change::Set { name: name.clone(), settings }], ()))
        })
        .await?;
    Ok(Nothing {})
}
