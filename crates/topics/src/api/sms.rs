//! Settings of text messages, and the numbers that do not want any.

use super::bad_token;
use crate::error::{invalid, invalid_because};
use crate::limits::PAGE;
use crate::state::Change;
use crate::texting::{self, TextingChange};
use crate::{Topics, phone};
use shapes::sns::{
    CheckIfPhoneNumberIsOptedOutInput, CheckIfPhoneNumberIsOptedOutResponse, GetSMSAttributesInput,
    GetSMSAttributesResponse, GetSMSSandboxAccountStatusInput, GetSMSSandboxAccountStatusResult,
    ListPhoneNumbersOptedOutInput, ListPhoneNumbersOptedOutResponse, OptInPhoneNumberInput, OptInPhoneNumberResponse,
    SetSMSAttributesInput, SetSMSAttributesResponse,
};
use std::sync::Arc;
use wire::page::page;
use wire::{ApiError, Call};

/// <https://docs.aws.amazon.com/sns/latest/api/API_GetSMSAttributes.html>
pub(super) async fn get_sms_attributes(
    topics: Arc<Topics>,
    _: Arc<Call>,
    input: GetSMSAttributesInput,
) -> Result<GetSMSAttributesResponse, ApiError> {
    let mut all = topics.catalog.read(|state| state.texting.settings.clone());
    if let Some(wanted) = input.attributes.filter(|wanted| !wanted.is_empty()) {
        all.retain(|name, _| wanted.contains(name));
    }
    Ok(GetSMSAttributesResponse { attributes: Some(all) })
}

/// <https://docs.aws.amazon.com/sns/latest/api/API_SetSMSAttributes.html>
pub(super) async fn set_sms_attributes(
    topics: Arc<Topics>,
    _: Arc<Call>,
    input: SetSMSAttributesInput,
) -> Result<SetSMSAttributesResponse, ApiError> {
    let (priced, logged) = (topics.price_micro_usd().is_some(), topics.log.get().is_some());
    for (name, value) in &input.attributes {
        texting::check(name, value, priced, logged).map_err(|why| invalid_because(name, why))?;
    }
    topics
        .catalog
        .change(|state| {
            let mut settings = state.texting.settings.clone();
            for (name, value) in input.attributes {
                if value.is_empty() {
                    settings.remove(&name);
                } else {
                    settings.insert(name, value);
                }
            }
            Ok::<_, ApiError>((vec![Change::Texting(TextingChange::Set(settings))], ()))
        })
        .await?;
    Ok(SetSMSAttributesResponse {})
}

/// <https://docs.aws.amazon.com/sns/latest/api/API_CheckIfPhoneNumberIsOptedOut.html>
pub(super) async fn check_if_phone_number_is_opted_out(
    topics: Arc<Topics>,
    _: Arc<Call>,
    input: CheckIfPhoneNumberIsOptedOutInput,
) -> Result<CheckIfPhoneNumberIsOptedOutResponse, ApiError> {
    let number = number(&input.phone_number)?;
    let is_opted_out = topics.catalog.read(|state| state.texting.opted_out.contains_key(&number));
    Ok(CheckIfPhoneNumberIsOptedOutResponse { is_opted_out: Some(is_opted_out) })
}

/// <https://docs.aws.amazon.com/sns/latest/api/API_ListPhoneNumbersOptedOut.html>
pub(super) async fn list_phone_numbers_opted_out(
    topics: Arc<Topics>,
    _: Arc<Call>,
    input: ListPhoneNumbersOptedOutInput,
) -> Result<ListPhoneNumbersOptedOutResponse, ApiError> {
    let part = (input.next_token.as_deref(), PAGE);
    let entry = |number: &str, _: &_| Some(number.to_owned());
    let page = topics.catalog.read(|state| page("opted out", &state.texting.opted_out, part, entry));
    let (numbers, next_token) = page.ok_or_else(bad_token)?;
    Ok(ListPhoneNumbersOptedOutResponse { phone_numbers: Some(numbers), next_token })
}

/// <https://docs.aws.amazon.com/sns/latest/api/API_OptInPhoneNumber.html>
pub(super) async fn opt_in_phone_number(
    topics: Arc<Topics>,
    _: Arc<Call>,
    input: OptInPhoneNumberInput,
) -> Result<OptInPhoneNumberResponse, ApiError> {
    let number = number(&input.phone_number)?;
    let at = topics.world.now();
    topics
        .catalog
        .change(|state| {
            if !state.texting.opted_out.contains_key(&number) {
                return Ok((vec![], ()));
            }
            if !state.texting.may_opt_in(&number, at) {
                let why = format!("{number} was opted in within the last 30 days");
                return Err(invalid_because("PhoneNumber", why));
            }
            Ok((vec![Change::Texting(TextingChange::OptedIn { number, at })], ()))
        })
        .await?;
    Ok(OptInPhoneNumberResponse {})
}

/// <https://docs.aws.amazon.com/sns/latest/api/API_GetSMSSandboxAccountStatus.html>: the house has no sandbox.
pub(super) async fn get_sms_sandbox_account_status(
    _: Arc<Topics>,
    _: Arc<Call>,
    _: GetSMSSandboxAccountStatusInput,
) -> Result<GetSMSSandboxAccountStatusResult, ApiError> {
    Ok(GetSMSSandboxAccountStatusResult { is_in_sandbox: false })
}

fn number(text: &str) -> Result<String, ApiError> {
    phone::e164(text).ok_or_else(|| invalid(format!("PhoneNumber Reason: {text} does not meet the E164 format")))
}
