//! Landlock: which files may be touched, and where no network of its own is to be had, which ports may be called.
//! Source: <https://docs.kernel.org/userspace-api/landlock.html>

use super::super::Reach;
use super::super::shim::{Confined, Plan};
use super::root::{DEVICES, NAMES, SETTINGS, SYSTEM, java_settings};
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, NetPort, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use std::io;
use std::path::{Path, PathBuf};

/// The newest version whose meaning is known here. What an older kernel lacks of it is left out.
const KNOWN: ABI = ABI::V6;
/// What is read of `/proc` where there is none of its own.
const PROC: &[&str] = &["/proc/self", "/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/proc/uptime", "/proc/version"];

pub(super) fn restrict(plan: &Plan, confined: &Confined) -> io::Result<()> {
    let status = ruleset(plan, confined).map_err(io::Error::other)?;
    match status {
        RulesetStatus::NotEnforced => Err(io::Error::new(io::ErrorKind::Unsupported, "the kernel has none")),
        RulesetStatus::PartiallyEnforced | RulesetStatus::FullyEnforced => Ok(()),
    }
}

fn ruleset(plan: &Plan, confined: &Confined) -> Result<RulesetStatus, RulesetError> {
    let ports = match &confined.confinement.reach {
        Reach::Ports(ports) if !confined.layers.network => Some(ports),
        _ => None,
    };
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?;
    if ports.is_some() {
        rules = rules.handle_access(AccessNet::ConnectTcp)?;
    }
    let (read, write) = places(plan, confined);
    let mut rules = rules
        .create()?
        .add_rules(path_beneath_rules(read, AccessFs::from_read(KNOWN)))?
        .add_rules(path_beneath_rules(write, AccessFs::from_all(KNOWN)))?
        .add_rules(path_beneath_rules(DEVICES, AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate))?;
    for port in ports.into_iter().flatten() {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    Ok(rules.restrict_self()?.ruleset)
}

/// What may be read, and what may be written.
fn places(plan: &Plan, confined: &Confined) -> (Vec<PathBuf>, Vec<PathBuf>) {
    if confined.layers.namespaces {
        // All there is was put there to be read, and `/proc` lets a process write what is its own.
        return (vec!["/".into()], vec!["/tmp".into(), "/proc".into()]);
    }
    let known = [SYSTEM, SETTINGS, NAMES, PROC].into_iter().flatten().map(PathBuf::from);
    let sees = confined.confinement.sees.iter().map(|(here, _)| here.clone());
    let read = known.chain(java_settings()).chain(sees).chain(links(SETTINGS));
    (read.collect(), plan.scratch.iter().cloned().collect())
}

/// What settings are links to: `/etc/resolv.conf` and its kind.
fn links(paths: &[&str]) -> Vec<PathBuf> {
    paths.iter().chain(NAMES).filter_map(|path| Path::new(path).canonicalize().ok()).collect()
}
