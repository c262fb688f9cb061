//! The wire between the house and the processes around a child: plans one way, sockets and endings the other.
//!
//! One message is one datagram of a connected pair; the house's end closing means that the house is gone.

use super::{Failed, Layer};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The largest message. Environments of functions end at 4 KB; those of tools that prepare runtimes are the server's own.
const MAX_MESSAGE: usize = 160 << 10;
/// The most sockets one message carries.
const MAX_SOCKETS: usize = 64;

/// What the house is told.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::processes) enum Told {
    /// The program runs. With the sockets it was promised.
    Ready,
    /// It could not be started.
    Failed { layer: Option<Layer>, why: String },
    /// The program ended.
    Ended(End),
}

/// How a program ended.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(in crate::processes) enum End {
    Code(i32),
    Signal(i32),
}

impl From<&Failed> for Told {
    fn from(failed: &Failed) -> Told {
        Told::Failed { layer: failed.layer, why: failed.error.to_string() }
    }
}

/// One end.
pub(in crate::processes) struct Control<Fd = OwnedFd>(pub(in crate::processes) Fd);

/// Both ends: the house's, which never blocks, and the child's.
pub(in crate::processes) fn pair() -> io::Result<(Control, OwnedFd)> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    Ok((Control(ours), theirs))
}

impl Control {
    /// The end that this process was started with, as its standard input.
    pub(in crate::processes) fn inherited() -> io::Result<Control> {
        Ok(Control(rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3)?))
    }
}

impl<Fd: AsFd> Control<Fd> {
    pub(in crate::processes) fn send<T: Serialize>(&self, message: &T, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let text = serde_json::to_vec(message)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
        let mut carried = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !carried.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many sockets for one message"));
        }
        sendmsg(&self.0, &[IoSlice::new(&text)], &mut carried, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?;
        Ok(())
    }

    /// The next message; `None` where nobody is left who could send one.
    pub(in crate::processes) fn receive<T: DeserializeOwned>(
        &self,
        flags: RecvFlags,
    ) -> io::Result<Option<(T, Vec<TcpListener>)>> {
        let mut text = vec![0; MAX_MESSAGE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
        let mut carried = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut text)];
        let got = match recvmsg(&self.0, &mut parts, &mut carried, flags | RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::CONNRESET) => return Ok(None),
            got => got?,
        };
        let fds = carried.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        });
        let sockets = fds.flatten().map(TcpListener::from).collect();
        match got.bytes {
            0 => Ok(None),
            bytes => Ok(Some((serde_json::from_slice(&text[..bytes])?, sockets))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stay_whole_and_carry_sockets() {
        let (ours, theirs) = pair().unwrap();
        let theirs = Control(theirs);
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        theirs.send(&Told::Ready, &[socket.as_fd()]).unwrap();
        theirs.send(&Told::Ended(End::Signal(9)), &[]).unwrap();
        let (first, sockets) = ours.receive::<Told>(RecvFlags::empty()).unwrap().unwrap();
        assert!(matches!(first, Told::Ready));
        assert_eq!(sockets[0].local_addr().unwrap(), socket.local_addr().unwrap());
        let (second, sockets) = ours.receive::<Told>(RecvFlags::empty()).unwrap().unwrap();
        assert!(matches!(second, Told::Ended(End::Signal(9))) && sockets.is_empty());
        let empty = ours.receive::<Told>(RecvFlags::DONTWAIT).unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
        drop(theirs);
        assert!(ours.receive::<Told>(RecvFlags::empty()).unwrap().is_none());
    }
}
