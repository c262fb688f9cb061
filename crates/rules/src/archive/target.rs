//! The pushed door of archives: what an archive's rule sends becomes a record.

use super::record::{encode, time};
use crate::Rules;
use bytes::Bytes;
use delivery::{Envelope, Target, Verdict, code};
use std::sync::Arc;
use store::{Batch, StoreError};
use world::BoxFuture;

/// Takes envelopes for the ARNs of archives.
pub(crate) struct ArchiveTarget(pub(crate) Arc<Rules>);

impl ArchiveTarget {
    async fn keep(&self, envelope: &Envelope) -> Verdict {
        let rules = &self.0;
        let name = envelope.to.resource_after("archive/").unwrap_or_default();
        let id = rules.catalog.read(|state| state.archives.archives.get(name).map(|archive| archive.id.clone()));
        let Some(id) = id else {
            return Verdict::Refused { code: "NO_RESOURCE".to_owned(), why: format!("Archive {name} does not exist.") };
        };
        match self.append(&id, envelope).await {
            Ok(()) => Verdict::Accepted(Bytes::new()),
            Err(error) => Verdict::Again { code: code::INTERNAL_ERROR.to_owned(), why: error.to_string(), after: None },
        }
    }

    async fn append(&self, id: &str, envelope: &Envelope) -> Result<(), StoreError> {
        let log = self.0.archive_log(id).await?;
        let at = time(&envelope.body, envelope.created);
        let mut batch = Batch::new(log);
        batch.push_with(16 + envelope.body.len(), |out| encode(out, at, &envelope.body));
        self.0.store.append(vec![batch]).await?;
        Ok(())
    }
}

impl Target for ArchiveTarget {
    fn deliver<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Verdict> {
        Box::pin(self.keep(envelope))
    }
}
