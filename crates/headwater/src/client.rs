//! Asks a running server's own routes: what `tail` and `status` stand on.

use crate::cli::ClientArgs;
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use std::time::Duration;
use world::net::SendError;

/// A client of `/_headwater/`.
pub struct Client {
    world: world::World,
    endpoint: String,
    authorization: String,
}

impl Client {
    pub fn new(args: &ClientArgs) -> Client {
        let basic = STANDARD.encode(format!("{}:{}", args.access_key_id, args.secret_access_key));
        Client {
            world: world::World::real(),
            endpoint: args.endpoint.trim_end_matches('/').to_owned(),
            authorization: format!("Basic {basic}"),
        }
    }

    /// Reads a route as JSON.
    pub async fn get(&self, route: &str, patience: Duration) -> Result<serde_json::Value> {
        let url = format!("{}/_headwater/{route}", self.endpoint);
        let request = http::Request::get(&url)
            .header(http::header::AUTHORIZATION, &self.authorization)
            .body(Bytes::new())
            .with_context(|| format!("{url} is not an address"))?;
        let answer = match self.world.net.send(request, patience).await {
            Ok(answer) => answer,
            Err(SendError::Connect(why)) => bail!(
                "nothing answers at {} ({why}).\nStart a server with `headwater serve`, or say where one is with --endpoint URL.",
                self.endpoint
            ),
            Err(error) => bail!("{url}: {error}"),
        };
        let body = answer.body();
        if !answer.status().is_success() {
            bail!("{url}: {} {}", answer.status(), String::from_utf8_lossy(body));
        }
        serde_json::from_slice(body).with_context(|| format!("{url} did not answer with JSON"))
    }
}
