//! One datagram a system call, for systems without `recvmmsg(2)`: the interface of `mmsg` over the standard
//! library.
//!
//! What never happens here: the address that was asked is not looked up, so on a socket bound to all
//! addresses the system chooses which one an answer leaves from.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;

/// The most octets of a datagram: all that UDP can carry.
const LARGEST: usize = 65_535;
/// The most datagrams of a batch.
pub(super) const BATCH: usize = 1;

/// A batch of at most one datagram, and its answer.
pub(super) struct Mailbox {
    slot: Vec<u8>,
    received: Option<(usize, SocketAddr)>,
    reply: Option<Range<usize>>,
}

impl Mailbox {
    pub(super) fn new(_wildcard: bool) -> Self {
        Self {
            slot: vec![0; LARGEST],
            received: None,
            reply: None,
        }
    }

    /// Takes one datagram; `wait`s for it, as long as the socket's timeout allows. Once it was not to wait
    /// the socket never does again.
    pub(super) fn receive(&mut self, socket: &UdpSocket, wait: bool) -> io::Result<usize> {
        (self.received, self.reply) = (None, None);
        if !wait {
            socket.set_nonblocking(true)?;
        }
        self.received = Some(socket.recv_from(&mut self.slot)?);
        Ok(1)
    }

    /// The datagram of the batch and who sent it.
    pub(super) fn datagram(&self, i: usize) -> Option<(&[u8], SocketAddr)> {
        let (length, peer) = self.received.filter(|_| i == 0)?;
        Some((self.slot.get(..length)?, peer))
    }

    /// Notes that the datagram is answered by these octets of those that [`Mailbox::send`] will get.
    pub(super) fn reply(&mut self, _i: usize, octets: Range<usize>) {
        self.reply = Some(octets);
    }

    /// Sends the reply; `failed` is told when the system refuses.
    pub(super) fn send(
        &mut self,
        socket: &UdpSocket,
        octets: &[u8],
        mut failed: impl FnMut(&io::Error),
    ) {
        let Some((range, (_, peer))) = self.reply.take().zip(self.received) else {
            return;
        };
        if let Err(error) = socket.send_to(octets.get(range).unwrap_or(&[]), peer) {
            failed(&error);
        }
    }
}

/// Not to be had here.
pub(super) fn ignore_path_mtu(_socket: &UdpSocket, _is_v6: bool) -> io::Result<()> {
    Ok(())
}

/// Not told here.
pub(super) fn dropped(_socket: &UdpSocket) -> io::Result<u32> {
    Ok(0)
}
