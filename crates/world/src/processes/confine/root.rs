//! A root of its own: the system's programs and libraries, what the child was promised, a `/tmp` with a size, a few
//! devices, its own `/proc`, and nothing else. All but `/tmp` can only be read.

use super::super::Confinement;
use super::{Failed, Layer, Layers, Step};
use rustix::fs::{CWD, Mode, OFlags, StatVfsMountFlags, statvfs, symlink};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind_recursive, mount_change, mount_remount, unmount,
};
use rustix::process::{chdir, pivot_root};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Where the new root is put together. Every machine has it, and no program of the system lies there.
const SITE: &str = "/tmp";
/// What a process needs of the system: its programs and libraries,
pub(super) const SYSTEM: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"];
/// and of its settings those that libraries read and that hold no secrets.
pub(super) const SETTINGS: &[&str] = &[
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
];
/// Settings of Java lie in directories by version.
const JAVA: &str = "java-";
/// Those that matter where it reaches other machines.
pub(super) const NAMES: &[&str] = &["/etc/hosts", "/etc/resolv.conf"];
pub(super) const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\nsbx_user1051:x:993:990::/home/sbx_user1051:/sbin/nologin\n";
const GROUPS: &str = "root:x:0:\nsbx_group1051:x:990:\n";
const HOSTS: &str = "127.0.0.1 localhost\n";
/// The new root itself holds directories, links and three small files.
const ROOT_SIZE: &str = "size=1m,nr_inodes=4096,mode=0755";

/// Makes the root and moves into it. This process is the only one in its mount namespace.
pub(super) fn furnish(confinement: &Confinement, layers: Layers) -> Result<(), Failed> {
    let layer = Some(Layer::Namespaces);
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).step(layer, "private mounts")?;
    // What is shown is opened before anything is mounted: the site may hide it.
    let plan = plan(confinement);
    let shown: Vec<(Shown, PathBuf)> =
        plan.into_iter().filter_map(|(here, there)| Some((look(&here)?, there))).collect();
    // Whatever of the machine is mounted below the site is hidden by it, and goes with the old root.
    let before = mounts()?;
    tmpfs(SITE, ROOT_SIZE).step(layer, "a root of its own")?;
    let site = Path::new(SITE);
    for (here, there) in &shown {
        let place = site.join(there.strip_prefix("/").unwrap_or(there));
        put(here, &place).step(layer, &format!("showing {}", there.display()))?;
    }
    write_settings(confinement, site).step(layer, "settings")?;
    devices(site).step(layer, "devices")?;
    seal(site, &before).step(layer, "read-only mounts")?;
    fs::create_dir_all(site.join("proc"))?;
    if layers.proc {
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("proc", site.join("proc"), "proc", flags, None).step(Some(Layer::Proc), "its own /proc")?;
    }
    fs::create_dir_all(site.join("tmp"))?;
    tmpfs(site.join("tmp"), &format!("size={},mode=1777", confinement.tmp.max(4096))).step(layer, "its own /tmp")?;
    enter(site).step(layer, "moving into the root of its own")
}

fn tmpfs(place: impl AsRef<Path>, options: &str) -> io::Result<()> {
    let options = CString::new(options)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    Ok(mount("tmpfs", place.as_ref(), "tmpfs", flags, Some(options.as_c_str()))?)
}

/// All that is shown: what it is here and where.
fn plan(confinement: &Confinement) -> Vec<(PathBuf, PathBuf)> {
    let names = if confinement.reach == super::super::Reach::All { NAMES } else { &[] };
    let same = SYSTEM.iter().chain(SETTINGS).chain(names).map(PathBuf::from).chain(java_settings());
    same.map(|path| (path.clone(), path)).chain(confinement.sees.iter().cloned()).collect()
}

pub(super) fn java_settings() -> Vec<PathBuf> {
    let entries = fs::read_dir("/etc").into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(JAVA)).map(|entry| entry.path()).collect()
}

/// What is to be shown at a place.
enum Shown {
    Link(PathBuf),
    Directory(OwnedFd),
    File(OwnedFd),
}

/// `None`: not every machine has everything.
fn look(path: &Path) -> Option<Shown> {
    // Links of the system stay links: `/bin` to `usr/bin`, the time zone to its file below `/usr`.
    if SYSTEM.iter().chain(SETTINGS).any(|known| Path::new(known) == path)
        && let Ok(target) = fs::read_link(path)
    {
        return Some(Shown::Link(target));
    }
    let fd = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let directory = fs::metadata(path).ok()?.is_dir();
    Some(if directory { Shown::Directory(fd) } else { Shown::File(fd) })
}

fn put(shown: &Shown, place: &Path) -> io::Result<()> {
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    let fd = match shown {
        Shown::Link(target) => return Ok(symlink(target, place)?),
        Shown::Directory(fd) => {
            fs::create_dir_all(place)?;
            fd
        }
        Shown::File(fd) => {
            new_file(place, "")?;
            fd
        }
    };
    Ok(mount_bind_recursive(format!("/proc/self/fd/{}", fd.as_raw_fd()), place)?)
}

#[allow(clippy::disallowed_methods)] // a file of the new root, in memory
fn new_file(place: &Path, text: &str) -> io::Result<()> {
    fs::write(place, text)
}

fn write_settings(confinement: &Confinement, site: &Path) -> io::Result<()> {
    fs::create_dir_all(site.join("etc"))?;
    new_file(&site.join("etc/passwd"), PASSWD)?;
    new_file(&site.join("etc/group"), GROUPS)?;
    if confinement.reach != super::super::Reach::All {
        new_file(&site.join("etc/hosts"), HOSTS)?;
    }
    rustix::system::sethostname(b"localhost")?;
    Ok(())
}

fn devices(site: &Path) -> io::Result<()> {
    fs::create_dir_all(site.join("dev"))?;
    for device in DEVICES {
        let place = site.join(device.trim_start_matches('/'));
        new_file(&place, "")?;
        mount_bind_recursive(*device, &place)?;
    }
    for (name, target) in [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")] {
        symlink(format!("/proc/self/fd{target}"), site.join("dev").join(name))?;
    }
    Ok(())
}

/// Makes every mount below the site one that can only be read and gives nobody rights; devices stay devices.
fn seal(site: &Path, before: &BTreeMap<u64, PathBuf>) -> io::Result<()> {
    let ours = mounts()?.into_iter().filter(|(id, _)| !before.contains_key(id)).map(|(_, point)| point);
    for point in ours.filter(|point| point.starts_with(site) && point != site) {
        // Flags that came with a mount are locked in a user namespace: they have to be asked for again.
        let had = statvfs(&point)?.f_flag;
        let mut flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID;
        for (flag, kept) in [
            (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
            (StatVfsMountFlags::NODEV, MountFlags::NODEV),
            (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
            (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
            (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
        ] {
            flags.set(kept, had.contains(flag));
        }
        if !point.starts_with(site.join("dev")) {
            flags |= MountFlags::NODEV;
        }
        mount_remount(&point, flags, c"")?;
    }
    Ok(())
}

/// All mounts: their points by their ids. <https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html>
fn mounts() -> io::Result<BTreeMap<u64, PathBuf>> {
    let text = fs::read_to_string("/proc/self/mountinfo")?;
    let mount = |line: &str| {
        let mut fields = line.split(' ');
        Some((fields.next()?.parse().ok()?, unescape(fields.nth(3)?)))
    };
    Ok(text.lines().filter_map(mount).collect())
}

/// Mount points with spaces and the like are written in octal.
fn unescape(point: &str) -> PathBuf {
    let mut parts = point.split('\\');
    let mut path = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|code| u8::from_str_radix(code, 8).ok());
        path.push(code.map_or('\\', char::from));
        path.push_str(if code.is_some() { &part[3..] } else { part });
    }
    path.into()
}

/// Makes the site the root and lets go of the old one.
fn enter(site: &Path) -> io::Result<()> {
    chdir(site)?;
    // With the same place for both, the old root lies on top of the new one, where it is taken away.
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    chdir("/")?;
    Ok(mount_remount("/", MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV, c"")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_as_they_are_meant() {
        assert_eq!(unescape(r"/a\040b/c"), Path::new("/a b/c"));
        assert_eq!(unescape("/a"), Path::new("/a"));
        assert_eq!(unescape(r"/a\134"), Path::new(r"/a\"));
    }
}
