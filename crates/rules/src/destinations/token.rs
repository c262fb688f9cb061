//! Tokens of OAuth connections: fetched when first needed, kept until shortly before they end, fetched anew when an
//! endpoint refuses them.

use super::Destinations;
use super::auth::{Auth, Scheme};
use super::request::for_token;
use super::state::Connection;
use crate::limits::{DESTINATION_TIMEOUT, TOKEN_MARGIN};
use names::Timestamp;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// A token as it was given.
#[derive(Clone)]
pub(super) struct Token {
    /// Which state of the connection it was asked for with.
    revision: u64,
    text: String,
    /// When it is about to be no longer good, where that was said.
    ends: Option<Timestamp>,
}

/// <https://datatracker.ietf.org/doc/html/rfc6749#section-5.1>
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<serde_json::Value>,
}

impl Destinations {
    /// The token to send; none where the connection needs none. `refused` is one that an endpoint did not take. The error
    /// says why there is none, without a secret.
    pub(super) async fn token(
        &self,
        connection: &Connection,
        auth: &Auth,
        refused: Option<&str>,
    ) -> Result<Option<String>, String> {
        let Scheme::OAuth(oauth) = &auth.scheme else { return Ok(None) };
        let place = {
            let mut tokens = self.tokens.lock().expect("no panic holds this lock");
            Arc::clone(tokens.entry(connection.id.clone()).or_default())
        };
        // One fetches, the others wait for what it gets.
        let mut held = place.lock().await;
        let now = self.world.now();
        let good = held.as_ref().filter(|token| {
            let lasts = token.ends.is_none_or(|ends| now < ends);
            token.revision == connection.revision && lasts && refused != Some(token.text.as_str())
        });
        if let Some(token) = good {
            return Ok(Some(token.text.clone()));
        }
        let request = for_token(oauth).map_err(|error| error.to_string())?;
        let answer = self.world.net.send(request, DESTINATION_TIMEOUT).await.map_err(|error| error.to_string())?;
        if !answer.status().is_success() {
            return Err(format!("the authorization endpoint answered {}", answer.status()));
        }
        let granted: Granted = serde_json::from_slice(answer.body())
            .map_err(|_| "the authorization endpoint gave no access_token".to_owned())?;
        // Some say it as a text.
        let lasts = granted.expires_in.and_then(|v| v.as_u64().or_else(|| v.as_str()?.parse().ok()));
        let ends = lasts.map(|seconds| {
            let lasts = Duration::from_secs(seconds);
            now.plus(lasts - TOKEN_MARGIN.min(lasts / 10))
        });
        *held = Some(Token { revision: connection.revision, text: granted.access_token.clone(), ends });
        Ok(Some(granted.access_token))
    }
}
