//! What `/proc` knows. Processes come and go while it is read; what is gone counts as nothing.

use std::fs;
use std::net::SocketAddr;

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

/// The inode of the socket bound to `peer` and connected to `local`.
pub(super) fn socket_inode(peer: SocketAddr, local: SocketAddr) -> Option<u64> {
    let SocketAddr::V4(peer) = peer else { return None };
    let SocketAddr::V4(local) = local else { return None };
    let hex = |a: std::net::SocketAddrV4| format!("{:08X}:{:04X}", u32::from_ne_bytes(a.ip().octets()), a.port());
    let (peer, local) = (hex(peer), hex(local));
    let mapped = |a: &str| format!("0000000000000000FFFF0000{a}");
    find_socket("/proc/self/net/tcp", &peer, &local)
        .or_else(|| find_socket("/proc/self/net/tcp6", &mapped(&peer), &mapped(&local)))
}

fn find_socket(table: &str, peer: &str, local: &str) -> Option<u64> {
    let text = fs::read_to_string(table).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        (fields.nth(1)? == peer && fields.next()? == local).then(|| fields.nth(6)?.parse().ok())?
    })
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
    }

    #[test]
    fn own_memory_is_seen() {
        let own = [std::process::id()];
        assert!(resident(&own) > 0 && peak(&own) > 0);
        assert_eq!(resident(&[]), 0);
    }
}
