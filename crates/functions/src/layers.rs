//! Layers on the disk: all of a function's, merged into one directory as `/opt`. As unpacked code, it is read by
//! interpreters outside this program, so it lies on the real file system.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// The name of the directory that holds these pieces of unpacked code, merged in this order.
pub(crate) fn name(ids: &[String]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, ids.join("\n").as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("opt-{hex}")
}

/// Merges directories into a new one, later ones over earlier ones. What is there already was put there whole.
#[allow(clippy::disallowed_methods)] // see the head of this file
pub(crate) fn merge(layers: &[std::path::PathBuf], place: &Path, temporary: &Path) -> io::Result<()> {
    if place.is_dir() {
        return Ok(());
    }
    crate::code::remove(temporary)?;
    fs::create_dir_all(temporary)?;
    layers.iter().try_for_each(|layer| lay(layer, temporary))?;
    crate::code::seal(temporary)?;
    match fs::rename(temporary, place) {
        // Another one was faster; the content is the same.
        Err(_) if place.is_dir() => return crate::code::remove(temporary),
        done => done?,
    }
    fs::set_permissions(place, fs::Permissions::from_mode(0o555))?;
    match place.parent() {
        Some(parent) => fs::OpenOptions::new().read(true).open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[allow(clippy::disallowed_methods)] // see the head of this file
fn lay(from: &Path, onto: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, onto.join(entry.file_name()));
        let there = fs::symlink_metadata(&target).ok();
        if kind.is_dir() {
            if there.as_ref().is_some_and(|there| !there.is_dir()) {
                fs::remove_file(&target)?;
            }
            fs::create_dir_all(&target)?;
            lay(&entry.path(), &target)?;
            continue;
        }
        match there {
            Some(there) if there.is_dir() => fs::remove_dir_all(&target)?,
            Some(_) => fs::remove_file(&target)?,
            None => {}
        }
        if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, &target)?;
        } else {
            // Code never changes where it lies, so one copy serves all.
            fs::hard_link(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Bytes of all files below a directory.
pub(crate) fn size(dir: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sum += size(&entry.path())?;
        } else if kind.is_file() {
            sum += entry.metadata()?.len();
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_layers_lie_over_earlier_ones() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        for (path, text) in
            [("a/x", "1"), ("a/d/y", "2"), ("a/z/w", "3"), ("b/x", "new"), ("b/z", "file"), ("b/d/v", "4")]
        {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            #[allow(clippy::disallowed_methods)] // a test of the real disk
            fs::write(at(path), text).unwrap();
        }
        symlink("x", at("a/link")).unwrap();
        merge(&[at("a"), at("b")], &at("opt"), &at("tmp")).unwrap();
        let read = |path: &str| fs::read_to_string(at("opt").join(path)).unwrap();
        assert_eq!([read("x"), read("d/y"), read("d/v"), read("z"), read("link")], ["new", "2", "4", "file", "new"]);
        assert_eq!(size(&at("opt")).unwrap(), 3 + 1 + 1 + 4);
        merge(&[at("a"), at("b")], &at("opt"), &at("tmp")).unwrap();
        assert!(!at("tmp").exists());
        crate::code::remove(&at("opt")).unwrap();
        assert_ne!(name(&["a".into(), "b".into()]), name(&["b".into(), "a".into()]));
    }
}
