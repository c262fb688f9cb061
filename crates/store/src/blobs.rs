use crate::OpenError;
use bytes::Bytes;
use ring::digest;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use world::{Disk, World};

/// Files named by the SHA-256 of their content: code packages and the like. A blob is written once and never changed.
#[derive(Clone)]
pub struct Blobs {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// One writer at a time, so that two puts of one content do not share a temporary file.
    turn: Arc<Mutex<()>>,
}

/// Why a blob was not stored or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// No blob has this id.
    #[error("there is no blob {0}")]
    NotFound(String),
    /// The file's content is not what its name says.
    #[error("blob {0} is damaged: its content has another checksum")]
    Corrupt(String),
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// The file system said no.
    #[error("blob {id}: {source}")]
    Io {
        /// Which blob.
        id: String,
        /// The system's answer.
        source: io::Error,
    },
}

impl Blobs {
    pub(crate) fn open(world: &World, dir: &Path) -> Result<Blobs, OpenError> {
        let blobs = Blobs { disk: world.disk.clone(), dir: dir.to_owned(), turn: Arc::default() };
        blobs.prepare().map_err(|why| OpenError::Io { doing: "prepare", path: dir.to_owned(), why })?;
        Ok(blobs)
    }

    fn prepare(&self) -> io::Result<()> {
        self.disk.create_dir(&self.dir)?;
        for entry in self.disk.list(&self.dir)?.iter().filter(|e| e.name.ends_with(".tmp")) {
            self.disk.remove(&self.dir.join(&entry.name))?;
        }
        Ok(())
    }

    /// Stores a content; durable when it returns. The same content twice is stored once.
    pub fn put(&self, content: &[u8]) -> Result<String, BlobError> {
        let id = hex(digest::digest(&digest::SHA256, content).as_ref());
        let path = self.path(&id);
        let _turn = self.turn.lock().expect("no panic holds this lock");
        // A file that is there but damaged is written anew.
        if self.disk.exists(&path) && self.get(&id).is_ok() {
            return Ok(id);
        }
        self.disk.replace(&path, content).map_err(|error| BlobError::of(&id, error))?;
        Ok(id)
    }

    /// Reads a content and verifies it.
    pub fn get(&self, id: &str) -> Result<Bytes, BlobError> {
        if !is_id(id) {
            return Err(BlobError::NotFound(id.to_owned()));
        }
        let content = self.disk.read(&self.path(id)).map_err(|error| BlobError::of(id, error))?;
        if hex(digest::digest(&digest::SHA256, &content).as_ref()) != id {
            return Err(BlobError::Corrupt(id.to_owned()));
        }
        Ok(Bytes::from(content))
    }

    /// Where a blob's file is. Its content is not verified by looking at it there.
    pub fn path(&self, id: &str) -> PathBuf {
        self.dir.join(id)
    }

    /// Removes a blob; one that is not there is no error.
    pub fn remove(&self, id: &str) -> Result<(), BlobError> {
        if !is_id(id) {
            return Ok(());
        }
        match self.disk.remove(&self.path(id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done.and_then(|()| self.disk.sync_dir(&self.dir)).map_err(|error| BlobError::of(id, error)),
        }
    }
}

impl BlobError {
    fn of(id: &str, source: io::Error) -> BlobError {
        match source.kind() {
            io::ErrorKind::NotFound => BlobError::NotFound(id.to_owned()),
            io::ErrorKind::StorageFull => BlobError::Full,
            _ => BlobError::Io { id: id.to_owned(), source },
        }
    }
}

/// Ids come from callers, and become file names.
fn is_id(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_blob_survives_and_damage_shows() {
        let (world, disk) = World::simulated(7);
        let blobs = Blobs::open(&world, Path::new("/d/blobs")).unwrap();
        let id = blobs.put(b"hello").unwrap();
        assert_eq!(id, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        assert_eq!(blobs.put(b"hello").unwrap(), id);
        disk.crash();
        let blobs = Blobs::open(&world, Path::new("/d/blobs")).unwrap();
        assert_eq!(blobs.get(&id).unwrap(), "hello");
        disk.corrupt(&blobs.path(&id), 1);
        assert!(matches!(blobs.get(&id), Err(BlobError::Corrupt(_))));
        assert_eq!(blobs.put(b"hello").unwrap(), id);
        assert_eq!(blobs.get(&id).unwrap(), "hello");
        blobs.remove(&id).unwrap();
        blobs.remove(&id).unwrap();
        assert!(matches!(blobs.get(&id), Err(BlobError::NotFound(_))));
        assert!(matches!(blobs.get("../lock"), Err(BlobError::NotFound(_))));
    }
}
