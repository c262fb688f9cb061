//! Tries out what this machine offers to confine a child with.

use super::confine::control::{self, Control, Told};
use super::confine::{Layer, Layers, privileged};
use super::shim::{ARGUMENT, Confined, Plan};
use super::{Confinement, Limits, Offered, Reach};
use rustix::net::RecvFlags;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// What was found.
#[derive(Clone, Debug)]
pub(super) struct Probed {
    pub(super) layers: Layers,
    /// Why a layer cannot be had.
    why: Vec<(Layer, String)>,
}

impl Probed {
    /// Starts the shim with all layers, and again without those that failed.
    pub(super) fn of(shim: &Path) -> Probed {
        let mut probed = Probed { layers: Layers::ALL, why: Vec::new() };
        loop {
            let why = match attempt(shim, probed.layers) {
                Ok(None) => return probed,
                Ok(Some(failed)) => failed,
                Err(error) => (Layer::Namespaces, error.to_string()),
            };
            let less = probed.layers.without(why.0);
            if less == probed.layers {
                // What fails for no reason that a layer could be blamed for cannot be had at all.
                let all = [Layer::Landlock, Layer::Seccomp].map(|layer| (layer, why.1.clone()));
                probed.why.extend(all);
                return Probed { layers: Layers::default(), why: probed.why };
            }
            probed.layers = less;
            probed.why.push(why);
        }
    }

    fn why(&self, layer: Layer) -> String {
        let own = self.why.iter().find(|(l, _)| *l == layer);
        own.or(self.why.first()).map_or_else(|| "unknown".to_owned(), |(_, why)| why.clone())
    }

    /// In words for a person.
    pub(super) fn offered(&self) -> Offered {
        let layers = self.layers;
        let all = [
            (layers.namespaces, Layer::Namespaces, "namespaces", "functions share process numbers, users and files"),
            (layers.proc, Layer::Proc, "proc", "functions have no /proc"),
            (layers.network, Layer::Network, "network", "functions share this machine's network"),
            (layers.landlock, Layer::Landlock, "landlock", "files are kept from functions by their root alone"),
            (layers.seccomp, Layer::Seccomp, "seccomp", "functions may use every system call"),
        ];
        let mut offered = Offered { root: layers.namespaces, network: layers.network, ..Offered::default() };
        for (holds, layer, name, meaning) in all {
            match holds {
                true => offered.held.push(name.to_owned()),
                false => offered.missing.push(format!("{name}: {meaning} ({})", self.why(layer))),
            }
        }
        offered.any = !offered.held.is_empty();
        offered
    }
}

/// One try. `Some`: the layer that failed, and why.
#[allow(clippy::disallowed_methods)] // this is the port
fn attempt(shim: &Path, layers: Layers) -> io::Result<Option<(Layer, String)>> {
    let confinement = Confinement { sees: Vec::new(), tmp: 1 << 20, reach: Reach::Ports(vec![1]) };
    let plan = Plan {
        program: "/".into(),
        args: Vec::new(),
        env: Vec::new(),
        cwd: "/".into(),
        scratch: None,
        limits: Limits::default(),
        parent: std::process::id(),
        groups: Vec::new(),
        confinement: Some(Confined { confinement, layers }),
        user: user(0),
        probe: true,
    };
    let (ours, theirs) = control::pair()?;
    // The outer process reads one, the inner one the other.
    (0..1 + usize::from(layers.namespaces)).try_for_each(|_| ours.send(&plan, &[]))?;
    let mut shim = Command::new(shim);
    shim.arg(ARGUMENT).env_clear().stdin(theirs).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = shim.spawn()?;
    // The command holds the other end, which hides the end of the shim.
    drop(shim);
    let told = told(&ours);
    child.wait()?;
    told
}

fn told(ours: &Control) -> io::Result<Option<(Layer, String)>> {
    match ours.receive::<Told>(RecvFlags::empty())? {
        Some((Told::Ready, _)) => Ok(None),
        Some((Told::Failed { layer: Some(layer), why }, _)) => Ok(Some((layer, why))),
        Some((Told::Failed { layer: None, why }, _)) => Err(io::Error::other(why)),
        Some((Told::Ended(_), _)) | None => Err(io::Error::other("the shim ended without a word")),
    }
}

/// The user that the child with this number becomes, where this process may choose: one that nobody else on the machine
/// has, so that not even two functions of one kind are the same user.
pub(super) fn user(number: u64) -> Option<u32> {
    /// Far beyond what machines give to people and services: <https://systemd.io/UIDS-GIDS/>.
    const FIRST: u64 = 0x7000_0000;
    const COUNT: u64 = 0x0FFF_0000;
    /// In a user namespace that has only the usual 65,536: those that systemd keeps for services that come and go.
    const FEW: (u64, u64) = (61_184, 4_000);
    if !privileged() {
        return None;
    }
    let maps = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let has = |wanted: u64| {
        maps.lines().any(|line| {
            let mut numbers = line.split_ascii_whitespace().filter_map(|n| n.parse::<u64>().ok());
            let (Some(inside), Some(_), Some(count)) = (numbers.next(), numbers.next(), numbers.next()) else {
                return false;
            };
            (inside..inside + count).contains(&wanted)
        })
    };
    let (first, count) = if has(FIRST) && has(FIRST + COUNT) { (FIRST, COUNT) } else { FEW };
    u32::try_from(first + number % count).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_with_its_reason() {
        let layers = Layers::ALL.without(Layer::Namespaces);
        let probed = Probed { layers, why: vec![(Layer::Namespaces, "not permitted".to_owned())] };
        let offered = probed.offered();
        assert_eq!(offered.held, ["landlock", "seccomp"]);
        assert!(offered.any && !offered.root && !offered.network);
        assert_eq!(offered.missing.len(), 3);
        assert!(offered.missing.iter().all(|line| line.ends_with("(not permitted)")), "{:?}", offered.missing);
    }
}
