//! A network that is nothing but a loopback device, with sockets in it that the house serves from outside.
//!
//! Sockets belong to the network they were made in, whoever holds them: so the house accepts connections of a child
//! that has no other way out, nothing is copied in between, and nobody else can come in.
//! Source: <https://man7.org/linux/man-pages/man7/network_namespaces.7.html>, <https://man7.org/linux/man-pages/man7/rtnetlink.7.html>

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::fd::OwnedFd;

const RTM_NEWLINK: u16 = 16;
const RTM_NEWROUTE: u16 = 24;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_CREATE: u16 = 0x400;
const IFF_UP: u32 = 1;
const RT_TABLE_LOCAL: u8 = 255;
const RTPROT_STATIC: u8 = 4;
const RT_SCOPE_HOST: u8 = 254;
const RTN_LOCAL: u8 = 2;
const RTA_OIF: u16 = 4;
const AF_INET: u8 = 2;
/// The loopback device is the first of every network.
const LOOPBACK: u32 = 1;
/// The first bytes of an answer: a header of sixteen, then the error as a negative number, zero for none.
const ERROR_AT: usize = 16;

/// Wakes the loopback device and listens on all these ports. Whatever IPv4 address the child calls, it is this one: the
/// house may be known to it by an address of the machine.
pub(super) fn listen(ports: &[u16]) -> io::Result<Vec<TcpListener>> {
    let kernel = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    ask(&kernel, RTM_NEWLINK, 0, &link_up())?;
    ask(&kernel, RTM_NEWROUTE, NLM_F_CREATE, &everything_is_local())?;
    // One socket takes both kinds of addresses, where the kernel has the newer kind.
    let both = |port: u16| TcpListener::bind((Ipv6Addr::UNSPECIFIED, port));
    let socket = |port: &u16| both(*port).or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)));
    ports.iter().map(socket).collect()
}

/// `ifinfomsg`: family, padding, type, index, flags, which of the flags are meant.
fn link_up() -> Vec<u8> {
    let mut body = vec![0; 4];
    for number in [LOOPBACK, IFF_UP, IFF_UP] {
        body.extend(number.to_ne_bytes());
    }
    body
}

/// `rtmsg`: family, the lengths of both prefixes, tos, table, protocol, scope, type, flags; then one attribute.
fn everything_is_local() -> Vec<u8> {
    let mut body = vec![AF_INET, 0, 0, 0, RT_TABLE_LOCAL, RTPROT_STATIC, RT_SCOPE_HOST, RTN_LOCAL, 0, 0, 0, 0];
    body.extend(8u16.to_ne_bytes());
    body.extend(RTA_OIF.to_ne_bytes());
    body.extend(LOOPBACK.to_ne_bytes());
    body
}

fn ask(kernel: &OwnedFd, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let mut message = Vec::new();
    message.extend((ERROR_AT as u32 + body.len() as u32).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_ACK | flags).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    send(kernel, &message, SendFlags::empty())?;
    let mut answer = [0; 512];
    let (_, length) = recv(kernel, &mut answer, RecvFlags::empty())?;
    let error = answer[..length.min(answer.len())].get(ERROR_AT..ERROR_AT + 4);
    let error = error.and_then(|bytes| Some(i32::from_ne_bytes(bytes.try_into().ok()?)));
    match error {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(io::Error::other("the kernel's answer is too short")),
    }
}
