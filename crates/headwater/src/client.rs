//! Asks a running server: its own routes, which `tail` and `status` stand on, and the operations that `plan` calls.

use crate::cli::ClientArgs;
use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use world::World;
use world::net::{RealNet, SendError};

/// A client of `/_headwater/`.
pub struct Client {
    world: World,
    endpoint: String,
    authorization: String,
    access_key_id: String,
    secret_access_key: String,
    region: String,
}

/// How a certificate begins. <https://www.rfc-editor.org/rfc/rfc7468#section-5.1>
const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Whether an answer is one of our own routes': other servers say elsewhere, and in HTML, that there is nothing.
fn is_ours(answer: &Response<Bytes>) -> bool {
    answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain; version=0.0.4"))
}

/// The machine as it is, with whatever authorities are to be trusted beside its own.
fn trusting(bundle: Option<&OsStr>) -> Result<World> {
    let world = World::real();
    // An empty variable says nothing.
    let Some(file) = bundle.filter(|file| !file.is_empty()).map(Path::new) else { return Ok(world) };
    let authorities = world.disk.read(file).with_context(|| format!("cannot read the CA bundle {}", file.display()))?;
    let holds = authorities.windows(PEM.len()).any(|part| part == PEM);
    ensure!(holds, "the CA bundle {} holds no certificate: it has to be PEM", file.display());
    Ok(World { net: Arc::new(RealNet::trusting(authorities)), ..world })
}

impl Client {
    pub fn new(args: &ClientArgs) -> Result<Client> {
        let parsed: Option<http::Uri> = args.endpoint.parse().ok();
        let scheme = parsed.as_ref().filter(|uri| uri.host().is_some()).and_then(http::Uri::scheme_str);
        let secure = scheme == Some("https");
        ensure!(
            secure || scheme == Some("http"),
            "the endpoint {:?} is not a URL such as http://127.0.0.1:4566",
            args.endpoint
        );
        let basic = STANDARD.encode(format!("{}:{}", args.access_key_id, args.secret_access_key));
        Ok(Client {
            world: trusting(args.ca_bundle.as_deref().filter(|_| secure))?,
            endpoint: args.endpoint.trim_end_matches('/').to_owned(),
            authorization: format!("Basic {basic}"),
            access_key_id: args.access_key_id.clone(),
            secret_access_key: args.secret_access_key.clone(),
            region: args.region.clone(),
        })
    }

    /// Reads a route as JSON.
    pub async fn get(&self, route: &str, patience: Duration) -> Result<serde_json::Value> {
        let url = format!("{}/_headwater/{route}", self.endpoint);
        let request = http::Request::get(&url)
            .header(http::header::AUTHORIZATION, &self.authorization)
            .body(Bytes::new())
            .with_context(|| format!("{url} is not an address"))?;
        let answer = self.send(request, patience).await?;
        let body = answer.body();
        match answer.status() {
            status if status.is_success() => {}
            StatusCode::UNAUTHORIZED => bail!(
                "{} asks callers from other machines for its root key: give it with --access-key-id and --secret-access-key",
                self.endpoint
            ),
            // What was asked for is not there, or cannot be read: the server says why.
            _ if is_ours(&answer) => bail!("{}", String::from_utf8_lossy(body).trim()),
            status => bail!("{url} answers {status}: is it a Headwater server?"),
        }
        serde_json::from_slice(body)
            .with_context(|| format!("{url} did not answer with JSON: is it a Headwater server?"))
    }

    /// Calls an operation of Kinesis, signed.
    pub async fn kinesis(&self, operation: &str, input: &serde_json::Value) -> Result<serde_json::Value> {
        let body = Bytes::from(input.to_string());
        let request = http::Request::post(format!("{}/", self.endpoint))
            .header(CONTENT_TYPE, "application/x-amz-json-1.1")
            .header("x-amz-target", format!("Kinesis_20131202.{operation}"))
            .body(())
            .with_context(|| format!("{} is not an address", self.endpoint))?;
        let (mut head, ()) = request.into_parts();
        let signer = wire::sigv4::Signer {
            access_key_id: &self.access_key_id,
            secret_access_key: &self.secret_access_key,
            session_token: None,
            region: &self.region,
            service: "kinesis",
        };
        signer.sign(&mut head, &body, self.world.now())?;
        let answer = self.send(http::Request::from_parts(head, body), Duration::from_secs(10)).await?;
        let said: serde_json::Value = match answer.body().as_ref() {
            b"" => serde_json::Value::Null,
            body => serde_json::from_slice(body).with_context(|| format!("{operation} was not answered with JSON"))?,
        };
        if !answer.status().is_success() {
            let text = |field: &str| said[field].as_str().unwrap_or_default().to_owned();
            bail!("{operation}: {}: {}{}", text("__type"), text("message"), text("Message"));
        }
        Ok(said)
    }

    async fn send(&self, request: http::Request<Bytes>, patience: Duration) -> Result<Response<Bytes>> {
        let url = request.uri().clone();
        match self.world.net.send(request, patience).await {
            Ok(answer) => Ok(answer),
            Err(SendError::Connect(why)) => {
                let signed = if self.endpoint.starts_with("https:") {
                    ", or who signed its certificate with --ca-bundle FILE"
                } else {
                    ""
                };
                bail!(
                    "nothing answers at {}: {why}.\nStart a server with `headwater serve`, or say where one is with \
                     --endpoint URL{signed}.",
                    self.endpoint
                )
            }
            Err(error) => bail!("{url}: {error}"),
        }
    }
}
