//! Invocations whose response may come in pieces, as they are looked at from outside: piece after piece, then the outcome.
//!
//! The function waits for who takes the pieces, and does not stop for one that goes: it runs to its end, as on AWS.
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html>

use crate::called::Found;
use crate::functions::Functions;
use crate::invocation::NotRun;
use crate::limits;
use crate::runtime::{Chunk, Invocation, InvokeOutcome};
use std::sync::Arc;
use tokio::sync::mpsc;
use world::{BoxFuture, Clock, Stop};

/// An invocation on its way.
pub(crate) struct Streaming {
    chunks: mpsc::Receiver<Chunk>,
    running: Option<BoxFuture<'static, Result<InvokeOutcome, NotRun>>>,
    outcome: Option<Result<InvokeOutcome, NotRun>>,
}

/// What is seen next of it.
#[derive(Debug)]
pub(crate) enum Step {
    /// Something of the response.
    Chunk(Chunk),
    /// Its end; there is nothing behind it.
    End(Result<InvokeOutcome, NotRun>),
}

impl Streaming {
    /// Begins one.
    pub(crate) fn start(functions: Arc<Functions>, found: Found, invocation: Invocation) -> Streaming {
        let (sink, chunks) = mpsc::channel(1);
        let running = async move { functions.run_into(&found, invocation, Some(sink)).await };
        Streaming { chunks, running: Some(Box::pin(running)), outcome: None }
    }

    /// What comes next. Nothing is lost where it is not waited for to the end.
    pub(crate) async fn next(&mut self) -> Step {
        while let Some(running) = &mut self.running {
            tokio::select! {
                biased;
                Some(chunk) = self.chunks.recv() => return Step::Chunk(chunk),
                outcome = running => {
                    self.outcome = Some(outcome);
                    self.running = None;
                }
            }
        }
        // What was sent before the end is there.
        match (self.chunks.try_recv(), self.outcome.take()) {
            (Ok(chunk), outcome) => {
                self.outcome = outcome;
                Step::Chunk(chunk)
            }
            (Err(_), outcome) => Step::End(outcome.expect("an end is asked for once")),
        }
    }

    /// Nobody takes any more of it: it runs to its end all the same.
    pub(crate) async fn abandon(self) {
        drop(self.chunks);
        if let Some(running) = self.running {
            let _ = running.await;
        }
    }
}

/// Resolves when a house that closes has waited long enough for a response.
pub(crate) async fn patience(stop: &mut Stop, clock: &dyn Clock) {
    stop.wait().await;
    clock.sleep(limits::STREAM_PATIENCE).await;
}
