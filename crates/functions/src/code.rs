//! Code packages: zip files, checked without touching the disk and unpacked where a process is to run them.
//!
//! Unpacked code is read by interpreters outside this program, so it lies on the real file system, never on a simulated
//! disk: [`Package::check`] is pure, [`Package::unpack`] belongs to what starts processes.

use base64::Engine;
use bytes::Bytes;
use std::collections::HashSet;
use std::fs;
use std::io::{self, Cursor, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use zip::ZipArchive;
use zip::read::ZipFile;

/// What the name of a zip file ends with that is kept beside what was in it.
pub(crate) const ZIP: &str = "zip";
/// The largest zip file that may be uploaded directly.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub const MAX_ZIPPED: usize = 50 << 20;
/// The most a package may unpack to. Source: as above.
pub const MAX_UNZIPPED: u64 = 250 << 20;
/// How many entries a package may have: a bound of ours, on memory and on files.
pub const MAX_ENTRIES: usize = 100_000;
/// The longest target of a symbolic link, as Linux has it.
const MAX_LINK: u64 = 4096;
/// The longest name of a file, as Linux has it, and the longest path, which leaves room for the code directory's own.
const MAX_NAME: (usize, usize) = (255, 3072);

/// Unpackings begun, so that no two share a temporary directory.
static UNPACKINGS: AtomicU64 = AtomicU64::new(0);

/// Why a package is refused. The texts are those AWS answers with, where it has one.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// Over [`MAX_ZIPPED`].
    #[error("Zipped size must be smaller than {MAX_ZIPPED} bytes")]
    ZippedTooLarge,
    /// Over [`MAX_UNZIPPED`], as declared or as found.
    #[error("Unzipped size must be smaller than {MAX_UNZIPPED} bytes")]
    UnzippedTooLarge,
    /// Over [`MAX_ENTRIES`].
    #[error("A package must have at most {MAX_ENTRIES} entries")]
    TooManyEntries,
    /// Not a zip file, or a broken one.
    #[error("Could not unzip uploaded file. Please check your file, then try to upload again. ({0})")]
    NotAZip(String),
    /// An entry that would be written, or point, outside the package.
    #[error("The package entry {0:?} leaves the package")]
    Escapes(String),
    /// Two entries claim one place.
    #[error("The package entry {0:?} collides with another one")]
    Collides(String),
    /// A name that no file system takes.
    #[error("The package entry {0:?} has too long a name")]
    TooLong(String),
    /// The disk failed.
    #[error("cannot unpack code: {0}")]
    Disk(#[from] io::Error),
}

/// A zip file that passed all checks which need no unpacking.
#[derive(Clone, Debug)]
pub struct Package {
    zip: Bytes,
    sha256: [u8; 32],
}

impl Package {
    /// Checks a zip file: its limits, its names, and that all of it is readable in principle.
    pub fn check(zip: Bytes) -> Result<Package, CodeError> {
        if zip.len() > MAX_ZIPPED {
            return Err(CodeError::ZippedTooLarge);
        }
        let mut archive = open(&zip)?;
        let mut declared = 0u64;
        let mut names = Names::default();
        for index in 0..archive.len() {
            let entry = archive.by_index(index).map_err(broken)?;
            declared = declared.saturating_add(entry.size());
            names.add(&entry)?;
        }
        names.finish()?;
        if declared > MAX_UNZIPPED {
            return Err(CodeError::UnzippedTooLarge);
        }
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, &zip).as_ref());
        Ok(Package { zip, sha256 })
    }

    /// The zip file's size in bytes: Lambda's `CodeSize`.
    pub fn size(&self) -> usize {
        self.zip.len()
    }

    /// The zip file's SHA-256 in base64: Lambda's `CodeSha256`.
    pub fn code_sha256(&self) -> String {
        base64::engine::general_purpose::STANDARD.encode(self.sha256)
    }

    /// Unpacks into a directory below `functions`, named by the content, and returns it; durable when it returns. What is
    /// there already is taken as it is: it was renamed there whole.
    pub fn unpack(&self, functions: &Path) -> Result<PathBuf, CodeError> {
        let hex: String = self.sha256.iter().map(|b| format!("{b:02x}")).collect();
        let place = functions.join(&hex);
        if !place.is_dir() {
            fs::create_dir_all(functions)?;
            let turn = UNPACKINGS.fetch_add(1, Ordering::Relaxed);
            let temporary = functions.join(format!(".{hex}.{}.{turn}.tmp", std::process::id()));
            remove(&temporary)?;
            if let Err(error) = self.unpack_into(&temporary).and_then(|()| put_in_place(&temporary, &place)) {
                remove(&temporary)?;
                return Err(error);
            }
        }
        self.keep(&functions.join(format!("{hex}.{ZIP}")))?;
        // Also where another one renamed it: its name may not be on the disk yet.
        for dir in functions.ancestors().take(2) {
            fs::OpenOptions::new().read(true).open(dir)?.sync_all()?;
        }
        Ok(place)
    }

    /// Keeps the zip file itself, for who asks for it.
    #[allow(clippy::disallowed_methods)] // see the head of this file
    fn keep(&self, place: &Path) -> io::Result<()> {
        if place.exists() {
            return Ok(());
        }
        let turn = UNPACKINGS.fetch_add(1, Ordering::Relaxed);
        let temporary = place.with_extension(format!("{turn}.tmp"));
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(&self.zip)?;
        file.sync_all()?;
        fs::rename(temporary, place)
    }

    fn unpack_into(&self, root: &Path) -> Result<(), CodeError> {
        fs::create_dir(root)?;
        let mut archive = open(&self.zip)?;
        let mut left = MAX_UNZIPPED;
        let mut links = Vec::new();
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(broken)?;
            let path = root.join(inner_path(&entry)?);
            if entry.is_dir() {
                fs::create_dir_all(&path)?;
                continue;
            }
            fs::create_dir_all(path.parent().expect("an entry lies below the root"))?;
            if entry.is_symlink() {
                links.push((link_target(&mut entry)?, path));
            } else {
                left -= write_file(&mut entry, &path, left)?;
            }
        }
        // Links come last, so that nothing can be written through one.
        for (target, path) in links {
            symlink(target, path)?;
        }
        seal(root)?;
        Ok(())
    }
}

/// Removes unpacked code (or what is left of it).
pub fn remove(dir: &Path) -> io::Result<()> {
    if !dir.is_dir() {
        return Ok(());
    }
    for sub in directories(dir)? {
        fs::set_permissions(sub, fs::Permissions::from_mode(0o755))?;
    }
    fs::remove_dir_all(dir)
}

/// Removes from the directory `functions` what no function uses: code of functions that are gone, and what a crash left.
/// Only while nothing is being unpacked.
#[allow(clippy::disallowed_methods)] // see the head of this file
pub fn sweep(functions: &Path, used: &HashSet<String>) -> io::Result<()> {
    let entries = match fs::read_dir(functions) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if used.contains(name.strip_suffix(ZIP).and_then(|name| name.strip_suffix('.')).unwrap_or(&name)) {
            continue;
        }
        if entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        } else {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

#[allow(clippy::disallowed_methods)] // see the head of this file
fn put_in_place(temporary: &Path, place: &Path) -> Result<(), CodeError> {
    match fs::rename(temporary, place) {
        // Another one was faster; the content is the same.
        Err(_) if place.is_dir() => Ok(remove(temporary)?),
        result => {
            result?;
            Ok(fs::set_permissions(place, fs::Permissions::from_mode(0o555))?)
        }
    }
}

fn open(zip: &Bytes) -> Result<ZipArchive<Cursor<Bytes>>, CodeError> {
    let archive = ZipArchive::new(Cursor::new(zip.clone())).map_err(broken)?;
    if archive.len() > MAX_ENTRIES {
        return Err(CodeError::TooManyEntries);
    }
    Ok(archive)
}

fn broken(error: impl std::fmt::Display) -> CodeError {
    CodeError::NotAZip(error.to_string())
}

/// The entry's path inside the package: relative, of normal components only.
fn inner_path<R: Read>(entry: &ZipFile<'_, R>) -> Result<PathBuf, CodeError> {
    let escapes = || CodeError::Escapes(entry.name().to_owned());
    let mut path = PathBuf::new();
    if entry.name().contains(['\0', '\\']) {
        return Err(escapes());
    }
    for component in Path::new(entry.name()).components() {
        match component {
            Component::Normal(part) if part.len() > MAX_NAME.0 => {
                return Err(CodeError::TooLong(entry.name().to_owned()));
            }
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            _ => return Err(escapes()),
        }
    }
    if path.as_os_str().len() > MAX_NAME.1 {
        return Err(CodeError::TooLong(entry.name().to_owned()));
    }
    if path.as_os_str().is_empty() && !entry.is_dir() {
        return Err(escapes());
    }
    Ok(path)
}

/// Paths of a package, to find two entries in one place and entries below something that is no directory.
#[derive(Default)]
struct Names {
    files: HashSet<PathBuf>,
    parents: HashSet<PathBuf>,
}

impl Names {
    fn add<R: Read>(&mut self, entry: &ZipFile<'_, R>) -> Result<(), CodeError> {
        let path = inner_path(entry)?;
        self.parents.extend(path.ancestors().skip(1).map(Path::to_owned));
        if entry.is_dir() {
            self.parents.insert(path);
        } else if !self.files.insert(path) {
            return Err(CodeError::Collides(entry.name().to_owned()));
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), CodeError> {
        match self.files.intersection(&self.parents).next() {
            Some(path) => Err(CodeError::Collides(path.display().to_string())),
            None => Ok(()),
        }
    }
}

/// Where a symbolic link points: down, or up and then down, but not out. A `..` behind a name is refused, for the name
/// may be a link itself.
fn link_target<R: Read>(entry: &mut ZipFile<'_, R>) -> Result<PathBuf, CodeError> {
    let escapes = CodeError::Escapes(entry.name().to_owned());
    let mut depth = inner_path(entry)?.components().count() - 1;
    let mut text = String::new();
    entry.take(MAX_LINK).read_to_string(&mut text).map_err(broken)?;
    let mut down = false;
    for component in Path::new(&text).components() {
        match component {
            Component::Normal(_) => down = true,
            Component::CurDir => {}
            Component::ParentDir if !down && depth > 0 => depth -= 1,
            _ => return Err(escapes),
        }
    }
    if text.is_empty() || text.contains('\0') {
        return Err(escapes);
    }
    Ok(PathBuf::from(text))
}

#[allow(clippy::disallowed_methods)] // see the head of this file
fn write_file<R: Read>(entry: &mut ZipFile<'_, R>, path: &Path, left: u64) -> Result<u64, CodeError> {
    // What the archive declares is not to be trusted: count what comes.
    let executable = entry.unix_mode().is_some_and(|mode| mode & 0o111 != 0);
    let mode = if executable { 0o555 } else { 0o444 };
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    let mut limited = entry.take(left + 1);
    let mut buffer = vec![0; 64 << 10];
    let mut written = 0;
    loop {
        let n = limited.read(&mut buffer).map_err(broken)?;
        if n == 0 {
            break;
        }
        written += n as u64;
        if written > left {
            return Err(CodeError::UnzippedTooLarge);
        }
        file.write_all(&buffer[..n])?;
    }
    // Whatever this program's own habits are: functions are other users.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    Ok(written)
}

fn directories(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![root.to_owned()];
    let mut next = 0;
    while next < found.len() {
        // A directory that may not be written may still be listed.
        for entry in fs::read_dir(&found[next])? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                found.push(entry.path());
            }
        }
        next += 1;
    }
    Ok(found)
}

/// Takes the write permission from all directories and makes all that is in them durable.
pub(crate) fn seal(root: &Path) -> io::Result<()> {
    for dir in directories(root)?.into_iter().rev() {
        // The root itself is renamed yet, which needs write permission on it where its parent changes.
        let mode = if dir == root { 0o755 } else { 0o555 };
        fs::set_permissions(dir, fs::Permissions::from_mode(mode))?;
    }
    world::disk::sync_file_system(root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zip::write::{SimpleFileOptions, ZipWriter};

    fn zip_of(fill: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Bytes {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        fill(&mut writer);
        writer.finish().unwrap().into_inner().into()
    }

    fn file(name: &str, content: &[u8]) -> Bytes {
        zip_of(|zip| {
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            zip.write_all(content).unwrap();
        })
    }

    fn link(name: &str, target: &str) -> Bytes {
        zip_of(|zip| zip.add_symlink(name, target, SimpleFileOptions::default()).unwrap())
    }

    #[test]
    fn code_is_unpacked_once_whole_and_executable_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let zip = zip_of(|zip| {
            zip.start_file("bootstrap", SimpleFileOptions::default().unix_permissions(0o755)).unwrap();
            zip.write_all(b"#!/bin/sh\n").unwrap();
            zip.start_file("lib/a.py", SimpleFileOptions::default()).unwrap();
            zip.write_all(b"x = 1\n").unwrap();
            zip.add_symlink("lib/b", "../bootstrap", SimpleFileOptions::default()).unwrap();
        });
        let package = Package::check(zip).unwrap();
        let place = package.unpack(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(place.join("lib/a.py")).unwrap(), "x = 1\n");
        assert_eq!(fs::read_to_string(place.join("lib/b")).unwrap(), "#!/bin/sh\n");
        assert_eq!(fs::metadata(place.join("bootstrap")).unwrap().permissions().mode() & 0o777, 0o555);
        assert_eq!(fs::metadata(place.join("lib/a.py")).unwrap().permissions().mode() & 0o777, 0o444);
        assert_eq!(package.unpack(dir.path()).unwrap(), place);
        assert_eq!(fs::metadata(place.with_extension(ZIP)).unwrap().len(), package.size() as u64);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing temporary stays");
        remove(&place).unwrap();
        assert!(!place.exists());
    }

    #[test]
    fn the_hash_is_that_of_the_zip_file() {
        let package = Package::check(file("a", b"b")).unwrap();
        let digest = ring::digest::digest(&ring::digest::SHA256, &file("a", b"b"));
        assert_eq!(package.code_sha256(), base64::engine::general_purpose::STANDARD.encode(digest));
    }

    #[test]
    fn names_that_leave_the_package_are_refused() {
        for name in ["../a", "a/../../b", "/etc/passwd", "..", "a\\..\\b"] {
            assert!(matches!(Package::check(file(name, b"x")), Err(CodeError::Escapes(_))), "{name}");
        }
    }

    #[test]
    fn what_no_function_uses_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        sweep(&dir.path().join("none yet"), &HashSet::new()).unwrap();
        let [used, gone] = [b"1", b"2"].map(|b| Package::check(file("d/a", b)).unwrap().unpack(dir.path()).unwrap());
        fs::create_dir_all(dir.path().join(".left.1.0.tmp/d")).unwrap();
        let name = used.file_name().unwrap().to_str().unwrap().to_owned();
        sweep(dir.path(), &HashSet::from([name])).unwrap();
        assert!(used.join("d/a").exists() && !gone.exists());
        assert!(used.with_extension(ZIP).exists() && !gone.with_extension(ZIP).exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn names_too_long_for_a_file_are_refused() {
        for name in ["x".repeat(256), "d/".repeat(2000) + "x"] {
            assert!(matches!(Package::check(file(&name, b"x")), Err(CodeError::TooLong(_))), "{}", name.len());
        }
        let dir = tempfile::tempdir().unwrap();
        Package::check(file(&"x".repeat(255), b"x")).unwrap().unpack(dir.path()).unwrap();
    }

    #[test]
    fn one_package_is_unpacked_by_many_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let zip = zip_of(|zip| {
            for part in 0..50 {
                zip.start_file(format!("d/{part}"), SimpleFileOptions::default()).unwrap();
            }
        });
        let package = Package::check(zip).unwrap();
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(|| package.unpack(dir.path()).unwrap())).collect();
            assert_eq!(all.into_iter().map(|one| one.join().unwrap()).collect::<HashSet<_>>().len(), 1);
        });
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing temporary stays");
    }

    #[test]
    fn links_that_leave_the_package_are_refused() {
        for (name, target) in [("l", "/etc"), ("l", ".."), ("d/l", "../.."), ("l", "a/../../b"), ("d/l", "../a/..")] {
            let dir = tempfile::tempdir().unwrap();
            let refused = Package::check(link(name, target)).and_then(|p| p.unpack(dir.path()));
            assert!(matches!(refused, Err(CodeError::Escapes(_))), "{name} -> {target}");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing stays");
        }
    }

    #[test]
    fn nothing_is_written_below_a_link() {
        let zip = zip_of(|zip| {
            zip.add_symlink("a", ".", SimpleFileOptions::default()).unwrap();
            zip.start_file("a/b", SimpleFileOptions::default()).unwrap();
        });
        assert!(matches!(Package::check(zip), Err(CodeError::Collides(_))));
    }

    #[test]
    fn bombs_and_rubbish_are_refused() {
        let bomb = zip_of(|zip| {
            let zeros = vec![0; 1 << 20];
            for part in 0..2 {
                zip.start_file(format!("part{part}"), SimpleFileOptions::default()).unwrap();
                for _ in 0..126 {
                    zip.write_all(&zeros).unwrap();
                }
            }
        });
        assert!(bomb.len() < 2 << 20);
        assert!(matches!(Package::check(bomb), Err(CodeError::UnzippedTooLarge)));
        assert!(matches!(Package::check(Bytes::from_static(b"rubbish")), Err(CodeError::NotAZip(_))));
        assert!(matches!(Package::check(vec![0; MAX_ZIPPED + 1].into()), Err(CodeError::ZippedTooLarge)));
    }
}
