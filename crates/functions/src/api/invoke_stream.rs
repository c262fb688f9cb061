//! InvokeWithResponseStream.

use super::invoke::{check, refused};
use crate::functions::Functions;
use crate::limits;
use crate::runtime::{Chunk, InvokeOutcome, Teller};
use crate::streaming::{Step, Streaming, patience};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;
use shapes::lambda::{
    InvocationRequest, InvocationType, InvokeResponseStreamUpdate, InvokeWithResponseStreamCompleteEvent,
    InvokeWithResponseStreamOp, InvokeWithResponseStreamRequest, InvokeWithResponseStreamResponse,
    InvokeWithResponseStreamResponseEvent as Event, ResponseStreamingInvocationType as Kind,
};
use std::sync::Arc;
use wire::{ApiError, Call, EventAnswer, EventSink, Gone, Opened};
use world::{Stage, Stop};

/// What the answer is, whatever the function's response is.
const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// <https://docs.aws.amazon.com/lambda/latest/api/API_InvokeWithResponseStream.html>
pub(crate) async fn invoke_with_response_stream(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: InvokeWithResponseStreamRequest,
    answer: EventAnswer<InvokeWithResponseStreamOp>,
) -> Result<Opened, ApiError> {
    let (kind, found, invocation) = check(&functions, &call, as_invoke(input))?;
    let tail = invocation.tail;
    if kind == InvocationType::DryRun {
        let output = InvokeWithResponseStreamResponse { status_code: Some(204), ..Default::default() };
        return answer.open(output).map(|(opened, _)| opened);
    }
    let executed_version = Some(found.function.version.clone());
    let world = functions.world.clone();
    let mut streaming = Streaming::start(functions, found, invocation);
    let first = match streaming.next().await {
        Step::End(Err(error)) => return Err(refused(error)),
        first => first,
    };
    let (opened, events) = answer.open(InvokeWithResponseStreamResponse {
        status_code: Some(200),
        executed_version,
        response_stream_content_type: Some(CONTENT_TYPE.to_owned()),
    })?;
    let clock = world.clock.clone();
    let response = Response { streaming, events, tail, begun: false };
    world.tasks.spawn(Stage::Sockets, "functions: response", |mut stop: Stop| async move {
        response.pass(first, async move { patience(&mut stop, &*clock).await }).await;
    });
    Ok(opened)
}

/// As what Invoke would be asked.
fn as_invoke(input: InvokeWithResponseStreamRequest) -> InvocationRequest {
    let kind = |kind| match kind {
        Kind::RequestResponse => InvocationType::RequestResponse,
        Kind::DryRun => InvocationType::DryRun,
    };
    InvocationRequest {
        function_name: input.function_name,
        qualifier: input.qualifier,
        invocation_type: input.invocation_type.map(kind),
        log_type: input.log_type,
        client_context: input.client_context,
        payload: input.payload,
        tenant_id: input.tenant_id,
        durable_execution_name: None,
    }
}

/// A response on its way to who invoked.
struct Response {
    streaming: Streaming,
    events: EventSink<Event>,
    tail: bool,
    begun: bool,
}

impl Response {
    async fn pass(mut self, first: Step, closing: impl Future<Output = ()>) {
        tokio::pin!(closing);
        let mut step = first;
        loop {
            match step {
                Step::End(Ok(outcome)) => {
                    let _ = complete(&self.events, self.begun, self.tail, outcome).await;
                    return;
                }
                Step::End(Err(error)) => {
                    let _ = self.events.fail(&refused(error)).await;
                    return;
                }
                Step::Chunk(Chunk::Begin(_)) => self.begun = true,
                Step::Chunk(Chunk::Data(bytes)) => {
                    if send(&self.events, bytes).await.is_err() {
                        return self.streaming.abandon().await;
                    }
                }
            }
            step = tokio::select! {
                biased;
                () = self.events.gone() => return self.streaming.abandon().await,
                step = self.streaming.next() => step,
                () = &mut closing => {
                    let _ = self.events.fail(&ApiError::fault("the house is closing")).await;
                    return;
                }
            };
        }
    }
}

async fn send(events: &EventSink<Event>, mut bytes: Bytes) -> Result<(), Gone> {
    while !bytes.is_empty() {
        let payload = Some(bytes.split_to(bytes.len().min(limits::STREAM_EVENT)));
        events.send(Event::PayloadChunk(InvokeResponseStreamUpdate { payload })).await?;
    }
    Ok(())
}

/// The end of a response, and all of it where it had not `begun` to come in pieces.
async fn complete(events: &EventSink<Event>, begun: bool, tail: bool, outcome: InvokeOutcome) -> Result<(), Gone> {
    let (mut error_code, mut error_details) = (None, None);
    match &outcome.error {
        None if begun => {}
        None => send(events, outcome.payload.clone()).await?,
        Some(error) => {
            error_code = Some(code(error.teller, &error.error_type).to_owned());
            error_details = Some(details(error.teller, &outcome.payload));
        }
    }
    let log_result = tail.then(|| STANDARD.encode(&outcome.log_tail));
    let end = InvokeWithResponseStreamCompleteEvent { error_code, error_details, log_result };
    events.send(Event::InvokeComplete(end)).await
}

/// What a response ended with keeps its name; that there was none, or not all of it, is unhandled.
fn code(teller: Teller, error_type: &str) -> &str {
    match teller {
        Teller::Midstream => error_type,
        Teller::Lambda if matches!(error_type, "Function.ResponseSizeTooLarge" | "Runtime.TruncatedResponse") => {
            error_type
        }
        Teller::Lambda | Teller::Function => "Unhandled",
    }
}

/// What a function tells as it tells it; what Lambda tells in its words alone.
fn details(teller: Teller, payload: &Bytes) -> String {
    let message = || {
        let value: Value = serde_json::from_slice(payload).ok()?;
        value.get("errorMessage")?.as_str().map(str::to_owned)
    };
    let own = if teller == Teller::Lambda { message() } else { None };
    own.unwrap_or_else(|| String::from_utf8_lossy(payload).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_lambdas_names_and_words() {
        let payload = Bytes::from_static(br#"{"errorType":"Runtime.ExitError","errorMessage":"it ended"}"#);
        assert_eq!(code(Teller::Lambda, "Runtime.ExitError"), "Unhandled");
        assert_eq!(code(Teller::Lambda, "Runtime.TruncatedResponse"), "Runtime.TruncatedResponse");
        assert_eq!(code(Teller::Midstream, "Runtime.ExitError"), "Runtime.ExitError");
        assert_eq!(details(Teller::Lambda, &payload), "it ended");
        assert_eq!(details(Teller::Midstream, &payload).as_bytes(), &payload[..]);
    }
}
