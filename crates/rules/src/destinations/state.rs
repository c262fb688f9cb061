//! What the house knows of connections and API destinations.

use names::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All of them, by name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) connections: BTreeMap<String, Connection>,
    pub(crate) destinations: BTreeMap<String, Destination>,
    /// Grows with every connection that is set.
    pub(crate) revision: u64,
}

/// How requests are let in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Connection {
    /// The last part of its ARN.
    pub(crate) id: String,
    pub(crate) description: Option<String>,
    /// AWS's word for the way in.
    pub(crate) kind: String,
    /// What it was given, sealed, in base64; none once it was taken away.
    pub(crate) sealed: Option<String>,
    pub(crate) status: Status,
    pub(crate) reason: Option<String>,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
    pub(crate) authorized: Option<Timestamp>,
    pub(crate) revision: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    /// A first token is being fetched.
    Authorizing,
    Authorized,
    Deauthorized,
}

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Destination {
    /// The last part of its ARN.
    pub(crate) id: String,
    pub(crate) description: Option<String>,
    pub(crate) connection: String,
    pub(crate) endpoint: String,
    pub(crate) method: String,
    pub(crate) rate: u32,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
}

/// What may happen to them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Change {
    /// A connection is made or given anew.
    ConnectionSet {
        name: String,
        at: Timestamp,
        id: String,
        description: Option<String>,
        kind: String,
        sealed: Option<String>,
        status: Status,
    },
    /// A connection was let in, or not.
    ConnectionTried { name: String, at: Timestamp, failed: Option<String> },
    /// A connection is gone.
    ConnectionDeleted { name: String },
    /// A destination is made or described anew.
    DestinationSet { name: String, destination: Destination },
    /// A destination is gone.
    DestinationDeleted { name: String },
}

impl store::State for State {
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        match change {
            Change::ConnectionSet { name, at, id, description, kind, sealed, status } => {
                self.revision += 1;
                let before = self.connections.get(name);
                let authorized = match status {
                    Status::Authorized => Some(*at),
                    _ => before.and_then(|before| before.authorized),
                };
                let connection = Connection {
                    id: id.clone(),
                    description: description.clone(),
                    kind: kind.clone(),
                    sealed: sealed.clone(),
                    status: *status,
                    reason: None,
                    created: before.map_or(*at, |before| before.created),
                    modified: *at,
                    authorized,
                    revision: self.revision,
                };
                self.connections.insert(name.clone(), connection);
            }
            Change::ConnectionTried { name, at, failed } => {
                let Some(known) = self.connections.get_mut(name) else { return };
                known.reason.clone_from(failed);
                match failed {
                    None => (known.status, known.authorized) = (Status::Authorized, Some(*at)),
                    Some(_) => known.status = Status::Deauthorized,
                }
            }
            Change::ConnectionDeleted { name } => {
                self.connections.remove(name);
            }
            Change::DestinationSet { name, destination } => {
                self.destinations.insert(name.clone(), destination.clone());
            }
            Change::DestinationDeleted { name } => {
                self.destinations.remove(name);
            }
        }
    }
}

impl State {
    /// A connection by its ARN's last two parts, `NAME/ID`.
    pub(crate) fn connection_at(&self, path: &str) -> Option<(&str, &Connection)> {
        let (name, id) = path.split_once('/')?;
        let (name, known) = self.connections.get_key_value(name)?;
        (known.id == id).then_some((name, known))
    }

    /// A destination by its ARN's last two parts, `NAME/ID`.
    pub(crate) fn destination_at(&self, path: &str) -> Option<&Destination> {
        let (name, id) = path.split_once('/')?;
        self.destinations.get(name).filter(|known| known.id == id)
    }
}
