//! Handing a sealed memfd to another process over a Unix socket.
//!
//! One byte goes with the descriptor, since a stream carries no ancillary data alone. The receiver takes exactly that byte,
//! so whatever else the two say on the socket stays where it is.

use crate::error::Error;
use crate::memory::Memory;
use crate::options::{Options, SEALS};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::retry_on_intr;
use rustix::net::{
    recvmsg, sendmsg, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;

/// What goes with the descriptor: `Z`.
const MARK: u8 = b'Z';

impl Memory {
    /// Sends memory made by [`Memory::anonymous`] to the process at the other end of the socket, which takes it by
    /// [`Memory::receive_from`]. Both then share it, with equal rights.
    ///
    /// # Errors
    /// [`Error::NotSealed`] for any other memory; [`Error::System`] if the socket refuses (the peer is gone, a socket
    /// that does not block is full).
    pub fn send_to(&self, socket: &UnixStream) -> Result<(), Error> {
        let memfd = self.memfd().ok_or(Error::NotSealed)?;
        let fds = [memfd.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        // The space is made for it.
        let _ = control.push(SendAncillaryMessage::ScmRights(&fds));
        let data = [IoSlice::new(&[MARK])];
        // Without the signal that ends a process that writes to nobody.
        retry_on_intr(|| sendmsg(socket, &data, &mut control, SendFlags::NOSIGNAL))
            .map_err(Error::system("send the region"))?;
        Ok(())
    }

    /// Receives memory that the process at the other end of the socket sent by [`Memory::send_to`]; waits for it, unless
    /// the socket does not block.
    ///
    /// Nothing is mapped before the seals were seen, so the peer cannot shrink the memory under us. Whatever else came
    /// (further descriptors, a descriptor of something else) is closed.
    ///
    /// # Errors
    /// [`Error::Handover`] if something else came, or nothing before the end; [`Error::NotSealed`];
    /// [`Error::Region`] if there is no region in it; [`Error::System`].
    pub fn receive_from(socket: &UnixStream) -> Result<Self, Error> {
        let memfd = receive_one(socket)?;
        // Only memory files have seals; on any other descriptor the question is an error.
        let seals = rustix::fs::fcntl_get_seals(&memfd).map_err(|_| Error::NotSealed)?;
        if !seals.contains(SEALS) {
            return Err(Error::NotSealed);
        }
        Options::new().adopt(memfd)
    }
}

/// The one descriptor that comes next on the socket.
fn receive_one(socket: &UnixStream) -> Result<OwnedFd, Error> {
    let mut byte = [0];
    // Room for more, to see that more came; the kernel closes what does not fit, and dropping the buffer the rest.
    let space = rustix::cmsg_space!(ScmRights(4), ScmCredentials(1));
    let mut space = vec![MaybeUninit::uninit(); space];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received =
        retry_on_intr(|| recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, flags))
            .map_err(Error::system("receive a region"))?;

    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = message {
            fds.extend(more);
        }
    }
    let no = |what| Err(Error::Handover { what });
    if received.flags.contains(ReturnFlags::CTRUNC) || fds.len() > 1 {
        return no("more than one descriptor came");
    }
    match fds.pop() {
        Some(fd) if byte == [MARK] => Ok(fd),
        Some(_) => no("the descriptor came with other data"),
        None if received.bytes == 0 => no("the peer closed the socket"),
        None => no("data came without a descriptor"),
    }
}
