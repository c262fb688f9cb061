//! The asked door: one file per family of operations.

mod confirm;
mod permission;
mod publish;
mod sms;
mod subscriptions;
mod tags;
mod topics;

use crate::Topics;
use crate::error::invalid;
use shapes::sns as s;
use std::sync::Arc;
use wire::{ApiError, Service};

/// The table of handlers.
pub(crate) fn service(state: &Arc<Topics>) -> Service {
    Service::new(&s::SERVICE)
        // The links in confirmations and notifications carry a token instead of a signature.
        .unsigned(&["ConfirmSubscription", "Unsubscribe"])
        .on::<s::CreateTopicOp, _, _, _>(state, topics::create_topic)
        .on::<s::DeleteTopicOp, _, _, _>(state, topics::delete_topic)
        .on::<s::ListTopicsOp, _, _, _>(state, topics::list_topics)
        .on::<s::GetTopicAttributesOp, _, _, _>(state, topics::get_topic_attributes)
        .on::<s::SetTopicAttributesOp, _, _, _>(state, topics::set_topic_attributes)
        .on::<s::SubscribeOp, _, _, _>(state, subscriptions::subscribe)
        .on::<s::ListSubscriptionsOp, _, _, _>(state, subscriptions::list_subscriptions)
        .on::<s::ListSubscriptionsByTopicOp, _, _, _>(state, subscriptions::list_subscriptions_by_topic)
        .on::<s::GetSubscriptionAttributesOp, _, _, _>(state, subscriptions::get_subscription_attributes)
        .on::<s::SetSubscriptionAttributesOp, _, _, _>(state, subscriptions::set_subscription_attributes)
        .on::<s::ConfirmSubscriptionOp, _, _, _>(state, confirm::confirm_subscription)
        .on::<s::UnsubscribeOp, _, _, _>(state, confirm::unsubscribe)
        .on::<s::PublishOp, _, _, _>(state, publish::publish)
        .on::<s::PublishBatchOp, _, _, _>(state, publish::publish_batch)
        .on::<s::AddPermissionOp, _, _, _>(state, permission::add_permission)
        .on::<s::RemovePermissionOp, _, _, _>(state, permission::remove_permission)
        .on::<s::TagResourceOp, _, _, _>(state, tags::tag_resource)
        .on::<s::UntagResourceOp, _, _, _>(state, tags::untag_resource)
        .on::<s::ListTagsForResourceOp, _, _, _>(state, tags::list_tags_for_resource)
        .on::<s::GetSMSAttributesOp, _, _, _>(state, sms::get_sms_attributes)
        .on::<s::SetSMSAttributesOp, _, _, _>(state, sms::set_sms_attributes)
        .on::<s::GetSMSSandboxAccountStatusOp, _, _, _>(state, sms::get_sms_sandbox_account_status)
        .on::<s::CheckIfPhoneNumberIsOptedOutOp, _, _, _>(state, sms::check_if_phone_number_is_opted_out)
        .on::<s::ListPhoneNumbersOptedOutOp, _, _, _>(state, sms::list_phone_numbers_opted_out)
        .on::<s::OptInPhoneNumberOp, _, _, _>(state, sms::opt_in_phone_number)
}

fn bad_token() -> ApiError {
    invalid("NextToken")
}
