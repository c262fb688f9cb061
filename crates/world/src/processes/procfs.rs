//! What `/proc` knows. Processes come and go while it is read; what is gone counts as nothing.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

/// All processes of a Unix process group.
pub(super) fn group_members(group: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| group_of(*pid) == Some(group)).collect()
}

fn group_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // `pid (name) state parent group ...`; the name may hold spaces and parentheses.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(2)?.parse().ok()
}

/// The sum of what these processes hold in memory now, in bytes.
pub(super) fn resident(pids: &[u32]) -> u64 {
    pids.iter().filter_map(|pid| status_kib(*pid, "VmRSS:")).sum::<u64>() * 1024
}

/// The sum of the most that each of these processes held so far, in bytes.
pub(super) fn peak(pids: &[u32]) -> u64 {
    pids.iter().filter_map(|pid| status_kib(*pid, "VmHWM:")).sum::<u64>() * 1024
}

fn status_kib(pid: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// How long the threads of these processes ran or stood in the queue of a processor.
/// Source: <https://docs.kernel.org/scheduler/sched-stats.html> (/proc/<pid>/schedstat)
pub(super) fn wanted_processor(pids: &[u32]) -> Duration {
    let threads = pids.iter().filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok()).flatten().flatten();
    let wanted = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        let [ran, waited] = [0, 1].map(|nth| text.split_ascii_whitespace().nth(nth)?.parse::<u64>().ok());
        Some(Duration::from_nanos(ran? + waited?))
    });
    wanted.sum()
}

/// The processes that a process started.
pub(super) fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The inode of the socket bound to `peer` and connected to `local`.
pub(super) fn socket_inode(peer: SocketAddr, local: SocketAddr) -> Option<u64> {
    let (peer, local) = (names(peer), names(local));
    find_sockets(|own, other| peer.contains(own) && local.contains(other)).into_iter().next()
}

/// The inodes of all sockets bound to `peer`, whatever they are connected to.
pub(super) fn socket_inodes(peer: SocketAddr) -> Vec<u64> {
    let peer = names(peer);
    find_sockets(|own, _| peer.contains(own))
}

/// What the kernel's tables may call an address: an IPv4 one also appears mapped into IPv6.
struct Names([Option<String>; 2]);

impl Names {
    fn contains(&self, name: &str) -> bool {
        self.0.iter().flatten().any(|known| known == name)
    }
}

fn names(address: SocketAddr) -> Names {
    let hex = |octets: &[u8]| {
        let words = octets.chunks_exact(4).map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
        let words: String = words.map(|word| format!("{word:08X}")).collect();
        format!("{words}:{:04X}", address.port())
    };
    Names(match address {
        SocketAddr::V4(v4) => [Some(hex(&v4.ip().octets())), Some(hex(&v4.ip().to_ipv6_mapped().octets()))],
        SocketAddr::V6(v6) => [Some(hex(&v6.ip().octets())), v6.ip().to_ipv4_mapped().map(|v4| hex(&v4.octets()))],
    })
}

fn find_sockets(wanted: impl Fn(&str, &str) -> bool) -> Vec<u64> {
    let tables =
        ["/proc/self/net/tcp", "/proc/self/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let rows = tables.iter().flat_map(|text| text.lines());
    let found = rows.filter_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        (wanted(fields.next()?, fields.next()?)).then(|| fields.nth(6)?.parse().ok())?
    });
    found.collect()
}

/// Whether one of these processes has a socket open.
pub(super) fn holds_socket(pids: &[u32], inode: u64) -> bool {
    let link = format!("socket:[{inode}]");
    pids.iter().any(|pid| {
        let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        entries.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|to| to.as_os_str() == link.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_connection_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (local, peer) = (client.peer_addr().unwrap(), client.local_addr().unwrap());
        let inode = socket_inode(peer, local).expect("the connection is in the table");
        assert!(holds_socket(&[std::process::id()], inode));
        assert!(!holds_socket(&[1], inode));
        assert_eq!(socket_inode(local, local), None);
        assert!(socket_inodes(peer).contains(&inode));
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // children of the test, not of a house
    fn a_processor_is_wanted_by_who_computes_and_not_by_who_sleeps() {
        let start = |program: &str| std::process::Command::new("sh").args(["-c", program]).spawn().unwrap();
        let (mut computes, mut sleeps) = (start("while :; do :; done"), start("exec sleep 60"));
        std::thread::sleep(Duration::from_millis(400));
        // Time in the queue counts, so that this holds on a busy machine, too.
        let wanted = [&computes, &sleeps].map(|child| wanted_processor(&[child.id()]));
        for child in [&mut computes, &mut sleeps] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(wanted[0] > Duration::from_millis(200) && wanted[1] < Duration::from_millis(200), "{wanted:?}");
    }

    #[test]
    fn own_memory_is_seen() {
        let own = [std::process::id()];
        assert!(resident(&own) > 0 && peak(&own) > 0);
        assert_eq!(resident(&[]), 0);
    }
}
