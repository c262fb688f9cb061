//! A call as CloudTrail tells it, and the event that carries it.
//! Source: <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>

use crate::entry::{Entry, Summary, Tell};
use crate::limits::{ELEMENT, MESSAGE};
use crate::render::{Camel, render};
use crate::{ec2, resources, services};
use names::{Caller, CallerKind, Home};
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json, json};
use wire::{ApiError, Fault, Outcome};

const EVENT_VERSION: &str = "1.11";

/// The record of a call.
pub(crate) fn entry(home: &Home, event_id: String, outcome: &Outcome, tell: Option<Tell>) -> Entry {
    let call = &outcome.call;
    let (service, operation) = (call.service.name, call.operation.name);
    let read_only = services::is_read_only(operation);
    let request = request(outcome);
    // AssumeRole is read-only and tells what it answered all the same.
    let response = if services::names_a_question(operation) { Json::Null } else { response(outcome) };
    let resources = resources::named(service, operation, &request, &response);
    let principal = match &call.caller.kind {
        CallerKind::Service { principal } => Some(principal.as_str()),
        _ => None,
    };
    let mut record = Map::new();
    let mut put = |key: &str, value: Json| drop(record.insert(key.to_owned(), value));
    put("eventVersion", EVENT_VERSION.into());
    put("userIdentity", identity(&call.caller));
    put("eventTime", call.at.iso_secs().into());
    put("eventSource", event_source(service).into());
    put("eventName", services::event_name(service, operation).into());
    put("awsRegion", region(home, service).into());
    put("sourceIPAddress", principal.map_or_else(|| call.source_ip.to_string(), str::to_owned).into());
    put("userAgent", principal.unwrap_or(&call.user_agent).into());
    if let Some(error) = &outcome.error {
        put("errorCode", error_code(service, error).into());
        put("errorMessage", error.message.chars().take(MESSAGE).collect::<String>().into());
    }
    put("requestParameters", bounded(request));
    put("responseElements", bounded(response));
    put("requestID", call.request_id.as_str().into());
    put("eventID", event_id.as_str().into());
    put("readOnly", read_only.into());
    put("eventType", "AwsApiCall".into());
    put("managementEvent", true.into());
    put("recipientAccountId", home.account.as_str().into());
    put("eventCategory", "Management".into());
    if call.tls {
        put("tlsDetails", json!({ "clientProvidedHostHeader": call.host }));
    }
    let event = Json::Object(record).to_string();
    let summary = Summary {
        id: event_id,
        name: services::event_name(service, operation).to_owned(),
        source: event_source(service),
        at: call.at,
        read_only,
        user: call.caller.display_name().to_owned(),
        access_key_id: call.caller.access_key_id.clone(),
        resources,
        tell,
    };
    Entry { summary, event }
}

/// The event for the default bus: the record in EventBridge's envelope.
/// Source: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html>
pub(crate) fn event(home: &Home, id: &str, entry: &Entry) -> String {
    let source = entry.summary.source.split('.').next().unwrap_or_default();
    let detail: Box<RawValue> =
        RawValue::from_string(entry.event.clone()).expect("a record was written by the JSON writer");
    let event = Event {
        version: "0",
        id,
        detail_type: "AWS API Call via CloudTrail",
        source: format!("aws.{source}"),
        account: home.account.as_str(),
        time: entry.summary.at.iso_secs(),
        region: region(home, source),
        resources: [],
        detail,
    };
    serde_json::to_string(&event).expect("an event is text and a record")
}

#[derive(serde::Serialize)]
struct Event<'a> {
    version: &'static str,
    id: &'a str,
    #[serde(rename = "detail-type")]
    detail_type: &'static str,
    source: String,
    account: &'a str,
    time: String,
    region: &'a str,
    resources: [&'static str; 0],
    detail: Box<RawValue>,
}

fn event_source(service: &str) -> String {
    format!("{}.amazonaws.com", services::source(service))
}

fn region<'a>(home: &'a Home, service: &str) -> &'a str {
    services::home_region(service).unwrap_or(home.region.as_str())
}

/// Source: <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html>
fn identity(caller: &Caller) -> Json {
    let of = |kind: &str| {
        json!({
            "type": kind,
            "principalId": caller.principal_id,
            "arn": caller.arn,
            "accountId": caller.account,
            "accessKeyId": caller.access_key_id,
        })
    };
    match &caller.kind {
        CallerKind::Root => of("Root"),
        CallerKind::User { name } => {
            let mut out = of("IAMUser");
            out["userName"] = name.as_str().into();
            out
        }
        CallerKind::AssumedRole { role, role_arn, role_id, session: _ } => {
            let mut out = of("AssumedRole");
            out["sessionContext"] = json!({
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": role_id,
                    "arn": role_arn,
                    "accountId": caller.account,
                    "userName": role,
                },
                "attributes": { "mfaAuthenticated": "false" },
            });
            out
        }
        CallerKind::Service { principal } => json!({ "type": "AWSService", "invokedBy": principal }),
        CallerKind::Anonymous => json!({ "type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL" }),
    }
}

/// EC2's codes come with whose fault it was.
fn error_code(service: &str, error: &ApiError) -> String {
    match (service, error.model.fault) {
        ("ec2", Fault::Client) => format!("Client.{}", error.model.code),
        ("ec2", Fault::Server) => format!("Server.{}", error.model.code),
        _ => error.model.name.to_owned(),
    }
}

fn request(outcome: &Outcome) -> Json {
    let operation = outcome.call.operation;
    let Some(input) = &outcome.input else { return Json::Null };
    let json = match outcome.call.service.name {
        "ec2" => ec2::request(operation.name, operation.input, input),
        _ => render::<Camel>(operation.input, input),
    };
    null_if_empty(json)
}

fn response(outcome: &Outcome) -> Json {
    let operation = outcome.call.operation;
    let Some(output) = outcome.output.as_ref().filter(|_| outcome.error.is_none()) else { return Json::Null };
    let json = match outcome.call.service.name {
        "ec2" => ec2::response(operation.output, output, &outcome.call.request_id),
        _ => render::<Camel>(operation.output, output),
    };
    null_if_empty(json)
}

fn null_if_empty(json: Json) -> Json {
    if json.as_object().is_some_and(Map::is_empty) { Json::Null } else { json }
}

/// CloudTrail leaves out what is too large, and so does an event of 256 KB.
fn bounded(json: Json) -> Json {
    let size = json.to_string().len();
    if size > ELEMENT { json!({ "omitted": true, "originalSize": size }) } else { json }
}
