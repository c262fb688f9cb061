//! Subscriptions: confirmed and ended, by their owner or by whoever has the link.

use crate::Topics;
use crate::error::{invalid, no_topic};
use crate::limits::CONFIRM_WITHIN;
use crate::notification::Question;
use crate::state::Change;
use names::CallerKind;
use shapes::sns::errors::AUTHORIZATION_ERROR_EXCEPTION;
use shapes::sns::{ConfirmSubscriptionInput, ConfirmSubscriptionResponse, UnsubscribeInput};
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

/// <https://docs.aws.amazon.com/sns/latest/api/API_ConfirmSubscription.html>
pub(super) async fn confirm_subscription(
    topics: Arc<Topics>,
    call: Arc<Call>,
    input: ConfirmSubscriptionInput,
) -> Result<ConfirmSubscriptionResponse, ApiError> {
    let name = topics.name(&input.topic_arn)?;
    let signed = call.caller.kind != CallerKind::Anonymous;
    let authenticate = input.authenticate_on_unsubscribe.is_some_and(|text| text.eq_ignore_ascii_case("true"));
    if authenticate && !signed {
        let text = "AuthenticateOnUnsubscribe needs a signed request";
        return Err(AUTHORIZATION_ERROR_EXCEPTION.because(text));
    }
    let now = topics.world.now();
    let id = topics
        .catalog
        .change(|state| {
            let topic = state.topics.get(&name).ok_or_else(no_topic)?;
            // Those that were ended by a link may be taken up again.
            let mut all = topic.subscriptions.iter().chain(&topic.ended);
            let (id, known) = all.find(|(_, s)| s.token == input.token).ok_or_else(|| invalid("Token"))?;
            match known.pending_until {
                // Whoever follows the link twice has confirmed.
                None => return Ok((vec![], id.clone())),
                Some(until) if until <= now => return Err(invalid("Token")),
                Some(_) => {}
            }
            let mut subscription = known.clone();
            subscription.pending_until = None;
            subscription.authenticated = signed;
            subscription.authenticate_on_unsubscribe = authenticate;
            let subscription = Box::new(subscription);
            let change = Change::Subscribed { topic: name.clone(), id: id.clone(), subscription };
            Ok::<_, ApiError>((vec![change], id.clone()))
        })
        .await?;
    Ok(ConfirmSubscriptionResponse { subscription_arn: Some(format!("{}:{id}", topics.arn(&name))) })
}

/// <https://docs.aws.amazon.com/sns/latest/api/API_Unsubscribe.html>: a subscription that is not there is ended already.
pub(super) async fn unsubscribe(
    topics: Arc<Topics>,
    call: Arc<Call>,
    input: UnsubscribeInput,
) -> Result<Nothing, ApiError> {
    let (topic, id) = topics.subscription_of(&input.subscription_arn)?;
    let signed = call.caller.kind != CallerKind::Anonymous;
    let (now, token) = (topics.world.now(), topics.token());
    let ended = topics
        .catalog
        .change(|state| {
            let Some((_, subscription)) = state.subscription(&topic, &id) else { return Ok((vec![], None)) };
            if subscription.authenticate_on_unsubscribe && !signed {
                let text = "This subscription can only be ended by a signed request";
                return Err(AUTHORIZATION_ERROR_EXCEPTION.because(text));
            }
            if signed || !subscription.is_asked() {
                return Ok((vec![Change::Unsubscribed { topic: topic.clone(), id: id.clone() }], None));
            }
            // Whoever has the link need not be its owner, who is told and may take it back.
            let mut ended = subscription.clone();
            (ended.token, ended.pending_until) = (token, Some(now.plus(CONFIRM_WITHIN)));
            let change = Change::Ended { topic: topic.clone(), id: id.clone(), subscription: Box::new(ended.clone()) };
            Ok::<_, ApiError>((vec![change], Some(ended)))
        })
        .await?;
    if let Some(ended) = ended {
        topics.ask(Question::Unsubscribe, &topic, &id, &ended).await?;
    }
    Ok(Nothing {})
}
