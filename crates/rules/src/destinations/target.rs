//! The pushed door: an envelope to an API destination's ARN is a request.

use super::Destinations;
use super::auth::Auth;
use super::pace::LONGEST;
use super::request::{Meaning, invocation, meaning};
use super::state::{Connection, Destination, Status};
use crate::http::Filled;
use crate::limits::{DESTINATION_AT_ONCE, DESTINATION_TIMEOUT};
use bytes::Bytes;
use delivery::{Envelope, Target, Verdict, attribute, code};
use names::Arn;
use std::sync::Arc;
use std::time::Duration;
use world::BoxFuture;
use world::net::SendError;

/// Takes envelopes for the ARNs of API destinations.
pub(crate) struct DestinationTarget(pub(crate) Arc<Destinations>);

fn again(code: &str, why: String, after: Option<Duration>) -> Verdict {
    Verdict::Again { code: code.to_owned(), why, after }
}

fn refused(code: &str, why: String) -> Verdict {
    Verdict::Refused { code: code.to_owned(), why }
}

/// Where a request goes, and how it is let in.
struct Way {
    destination: Destination,
    name: String,
    connection: Connection,
    auth: Auth,
}

impl DestinationTarget {
    fn find(&self, to: &Arn) -> Option<Destination> {
        let path = to.resource_after("api-destination/")?;
        self.0.catalog.read(|state| state.destination_at(path).cloned())
    }

    fn way(&self, to: &Arn) -> Result<Way, Verdict> {
        let Some(destination) = self.find(to) else {
            return Err(refused("NO_RESOURCE", format!("API destination {to} does not exist.")));
        };
        let connection = destination.connection.parse::<Arn>().ok().and_then(|arn| {
            let path = arn.resource_after("connection/")?;
            self.0.catalog.read(|state| state.connection_at(path).map(|(name, known)| (name.to_owned(), known.clone())))
        });
        let Some((name, connection)) = connection else {
            return Err(refused("NO_RESOURCE", format!("Connection {} does not exist.", destination.connection)));
        };
        match self.0.unseal(&connection) {
            // One that could not be authorized may be by now: the next try tells.
            Ok(Some(auth)) => Ok(Way { destination, name, connection, auth }),
            Ok(None) => Err(refused("CONNECTION_FAILURE", format!("Connection {name} is DEAUTHORIZED."))),
            Err(error) => Err(again(code::INTERNAL_ERROR, error.message, None)),
        }
    }

    async fn invoke(&self, envelope: &Envelope) -> Verdict {
        let way = match self.way(&envelope.to) {
            Ok(way) => way,
            Err(verdict) => return verdict,
        };
        let world = &self.0.world;
        let turn = self.0.turn(envelope.to.as_str(), way.destination.rate, world.now());
        world.clock.sleep(turn.since(world.now())).await;
        let mut stale: Option<String> = None;
        loop {
            let token = match self.0.token(&way.connection, &way.auth, stale.as_deref()).await {
                Ok(token) => token,
                Err(why) => return self.not_let_in(&way, why).await,
            };
            let answer = match self.send(&way, token.as_deref(), envelope).await {
                Ok(answer) => answer,
                Err(verdict) => return verdict,
            };
            let status = answer.status();
            let why = format!("the endpoint answered {status}");
            match meaning(status, answer.headers()) {
                Meaning::Taken => {
                    if way.connection.status != Status::Authorized {
                        self.0.authorized(&way.name, way.connection.revision, Ok(())).await;
                    }
                    return Verdict::Accepted(answer.into_body());
                }
                Meaning::Again { after } => {
                    let throttles = status == http::StatusCode::TOO_MANY_REQUESTS;
                    let code = if throttles { wire::common::THROTTLING.name } else { "ERROR_FROM_TARGET" };
                    return again(code, why, after);
                }
                // A new token is asked for once, and the request sent again with it.
                Meaning::Unauthorized if token.is_some() && stale.is_none() => stale = token,
                Meaning::Unauthorized => return again("ERROR_FROM_TARGET", why, None),
                Meaning::Refused => return refused("SDK_CLIENT_ERROR", why),
            }
        }
    }

    async fn send(
        &self,
        way: &Way,
        token: Option<&str>,
        envelope: &Envelope,
    ) -> Result<http::Response<Bytes>, Verdict> {
        let filled = Filled::read(envelope.attributes.get(attribute::HTTP));
        let to = (way.destination.method.as_str(), way.destination.endpoint.as_str());
        let request = invocation(to, &way.auth, token, &filled, envelope.body.clone())
            .map_err(|error| refused("INVALID_PARAMETER", error.to_string()))?;
        self.0.world.net.send(request, DESTINATION_TIMEOUT).await.map_err(|error| match error {
            SendError::Timeout(_) => again(code::TIMEOUT, error.to_string(), None),
            SendError::Connect(_) | SendError::Other(_) => again("CONNECTION_FAILURE", error.to_string(), None),
        })
    }

    /// A token that cannot be had now may be had later. The connection shows what is wrong.
    async fn not_let_in(&self, way: &Way, why: String) -> Verdict {
        self.0.authorized(&way.name, way.connection.revision, Err(why.clone())).await;
        again("CONNECTION_FAILURE", why, None)
    }
}

impl Target for DestinationTarget {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(self.invoke(envelope))
    }
    /// No more than a second's worth is in hand, so that nobody waits long for a turn.
    fn concurrency(&self, to: &Arn) -> usize {
        let rate = self.find(to).map_or(1, |destination| destination.rate as usize);
        rate.clamp(1, DESTINATION_AT_ONCE)
    }
    /// A turn, two tokens and two requests.
    fn time_limit(&self, _: &Arn) -> Duration {
        LONGEST + 4 * DESTINATION_TIMEOUT + Duration::from_secs(1)
    }
}
