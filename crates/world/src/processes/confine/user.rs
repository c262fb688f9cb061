//! Who a confined child is: nobody, with no rights, in a user namespace of its own.

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Gid, Uid, getegid, geteuid, set_dumpable_behavior};
use rustix::thread::{
    CapabilitySet, CapabilitySets, UnshareFlags, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};
use std::os::fd::OwnedFd;

/// The user and group that functions see themselves as on AWS.
pub(super) const USER: u32 = 993;
pub(super) const GROUP: u32 = 990;

/// Whether this process may make namespaces and change users by itself; others first make a user namespace in which
/// they may.
pub(in crate::processes) fn privileged() -> bool {
    let wanted = CapabilitySet::SYS_ADMIN
        | CapabilitySet::SETUID
        | CapabilitySet::SETGID
        | CapabilitySet::NET_ADMIN
        | CapabilitySet::DAC_READ_SEARCH;
    geteuid().is_root() && capabilities(None).is_ok_and(|own| own.effective.contains(wanted))
}

/// `/proc/self` as it is now, for [`become_nobody`] to find where no `/proc` is left.
pub(super) fn own_directory() -> Result<OwnedFd, Errno> {
    rustix::fs::open("/proc/self", OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}

/// Makes namespaces with a user namespace in which this user is the root.
#[allow(deprecated)] // it is unsafe only with FILES, which is not asked
pub(super) fn unshare_as_root(flags: UnshareFlags) -> Result<(), Errno> {
    let (user, group) = (geteuid(), getegid());
    rustix::thread::unshare(flags | UnshareFlags::NEWUSER)?;
    map(&own_directory()?, (0, user), (0, group))
}

/// Gives up everything: the root's identity where it is the real one (`user` is what it becomes), all capabilities, and
/// all ways to gain any.
#[allow(deprecated)] // as above
pub(super) fn become_nobody(user: Option<u32>, own: &OwnedFd) -> Result<(), Errno> {
    if let Some(id) = user {
        let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
        set_thread_groups(&[])?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
    }
    // Only a process that may be looked at may write its own maps; nobody else is in its namespaces yet.
    set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    let (user, group) = (geteuid(), getegid());
    rustix::thread::unshare(UnshareFlags::NEWUSER)?;
    map(own, (USER, user), (GROUP, group))?;
    set_no_new_privs(true)?;
    for bit in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        // The first number that the kernel does not know is behind the last that it knows.
        if remove_capability_from_bounding_set(capability).is_err() {
            break;
        }
    }
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    // The program has the same user, and shall not look into this process.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// Says who the one user and the one group of a new namespace are outside.
fn map(own: &OwnedFd, user: (u32, Uid), group: (u32, Gid)) -> Result<(), Errno> {
    let write = |file: &str, text: String| {
        let file = rustix::fs::openat(own, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::io::write(&file, text.as_bytes()).map(drop)
    };
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("{} {} 1", user.0, user.1.as_raw()))?;
    write("gid_map", format!("{} {} 1", group.0, group.1.as_raw()))
}
