//! What a function's process sees of this machine, and where.
//!
//! In a root of its own it finds things where they are on AWS: its code at `/var/task`, its layers at `/opt`, the
//! runtime at `/var/lang` and `/var/runtime`, its temporary files in `/tmp`. Where the machine offers no such root, all
//! of it lies where it lies. Whoever starts a process says paths of this machine, and [`View::of`] tells the others.

use std::path::{Path, PathBuf};

/// Where a function's code is.
pub(super) const TASK: &str = "/var/task";
/// Where its layers are.
pub(super) const LAYERS: &str = "/opt";
/// Where an interpreter that was prepared for functions is.
pub(super) const LANG: &str = "/var/lang";
/// Where what calls its handler is.
pub(super) const RUNTIME: &str = "/var/runtime";
/// Where its temporary files are.
pub(super) const TMP: &str = "/tmp";
/// Directories that every process sees as they are.
const SYSTEM: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"];

/// What one process sees.
#[derive(Clone, Debug)]
pub(super) struct View {
    rooted: bool,
    sees: Vec<(PathBuf, PathBuf)>,
}

impl View {
    /// Of a process with a root of its own, or of one without.
    pub(super) fn new(rooted: bool) -> View {
        View { rooted, sees: Vec::new() }
    }

    /// Shows what is `here` at the path `there`.
    pub(super) fn show(&mut self, here: &Path, there: &str) {
        let there = if self.rooted { PathBuf::from(there) } else { here.to_owned() };
        self.sees.push((here.to_owned(), there));
    }

    /// Shows a program's installation: an interpreter's own directory, where it is none of the system's.
    pub(super) fn show_program(&mut self, program: &Path) {
        // What it is a link to is what loads its libraries; a program that is missing is an error of the start.
        let Ok(program) = std::fs::canonicalize(program) else { return };
        let system = SYSTEM.iter().any(|dir| program.starts_with(dir));
        let shown = self.sees.iter().any(|(here, _)| program.starts_with(here));
        let bin = program.parent().filter(|dir| dir.ends_with("bin"));
        if let (false, Some(prefix)) = (system || shown, bin.and_then(Path::parent)) {
            self.sees.push((prefix.to_owned(), prefix.to_owned()));
        }
    }

    /// Where the process sees a path of this machine.
    pub(super) fn of(&self, path: &Path) -> PathBuf {
        let mut known = self.sees.iter().filter(|(here, _)| path.starts_with(here));
        match known.next().and_then(|(here, there)| Some(there.join(path.strip_prefix(here).ok()?))) {
            // Joining nothing would leave a slash at the end.
            Some(seen) => seen.components().collect(),
            None => path.to_owned(),
        }
    }

    /// All that it sees, for who starts the process.
    pub(super) fn into_sees(self) -> Vec<(PathBuf, PathBuf)> {
        self.sees
    }

    /// Whether it has a root of its own.
    pub(super) fn rooted(&self) -> bool {
        self.rooted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_as_the_process_sees_them() {
        let mut view = View::new(true);
        view.show(Path::new("/data/functions/ab"), TASK);
        assert_eq!(view.of(Path::new("/data/functions/ab")), Path::new(TASK));
        assert_eq!(view.of(Path::new("/data/functions/ab")).as_os_str(), TASK);
        assert_eq!(view.of(Path::new("/data/functions/ab/bootstrap")), Path::new("/var/task/bootstrap"));
        assert_eq!(view.of(Path::new("/usr/bin/node")), Path::new("/usr/bin/node"));
        let mut plain = View::new(false);
        plain.show(Path::new("/data/functions/ab"), TASK);
        assert_eq!(plain.of(Path::new("/data/functions/ab/x")), Path::new("/data/functions/ab/x"));
        assert_eq!(plain.into_sees(), [("/data/functions/ab".into(), "/data/functions/ab".into())]);
    }

    #[test]
    fn an_interpreter_shows_its_installation_once() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().canonicalize().unwrap();
        std::fs::create_dir(place.join("bin")).unwrap();
        std::os::unix::fs::symlink("/proc/self/exe", place.join("bin/python")).unwrap();
        std::fs::copy("/bin/true", place.join("bin/node")).unwrap();
        let mut view = View::new(true);
        for _ in 0..2 {
            view.show_program(&place.join("bin/node"));
        }
        view.show_program(Path::new("/bin/sh"));
        assert_eq!(view.into_sees(), [(place.clone(), place)]);
    }
}
