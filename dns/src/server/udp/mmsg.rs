//! Many datagrams a system call: `recvmmsg(2)` and `sendmmsg(2)` over memory that is allocated once.
//!
//! All `unsafe` of this crate is here. The safe wrapper in `nix` sends all messages of a call with one set
//! of control messages, and answers leave from the address that was asked, each from its own; and it leaves the
//! lengths of addresses and control messages as the last call changed them. What never happens here: no
//! octet of a packet is looked at, and nothing is allocated after [`Mailbox::new`].

#![allow(unsafe_code)] // the two system calls take pointers; see docs/decisions/0007-udp-workers.md

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr;

/// The most datagrams of a batch: with more, questions and answers pass in lockstep, and whoever waits for
/// the other has to be woken.
pub(super) const BATCH: usize = 32;
/// The most octets of a datagram: all that UDP can carry.
const LARGEST: usize = 65_535;
/// From one buffer to the next. One line of cache more than a multiple of the page, or the beginnings of all
/// buffers would compete for the same few lines. Pages that no datagram reaches stay unmapped.
const STRIDE: usize = 65_536 + 64;
/// Room for one control message with the address that was asked (40 octets for IPv6 on 64 bits).
const CONTROL: usize = 64;

/// A socket address as the system writes it: `sockaddr_in` or `sockaddr_in6`, of which the latter is longer.
#[derive(Clone, Copy)]
#[repr(C)]
union Name {
    any: libc::sa_family_t,
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

/// Room for control messages, aligned as `cmsghdr` must be.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

/// A batch of datagrams: what came in, and which answers go where.
///
/// The headers point into the other vectors, which are never resized, and whose memory does not move when the
/// mailbox does. They are only touched between the system calls, which keep nothing.
pub(super) struct Mailbox {
    incoming: Vec<libc::mmsghdr>,
    outgoing: Vec<libc::mmsghdr>,
    /// Where each outgoing datagram lies in the octets that are given to [`Mailbox::send`].
    ranges: Vec<Range<usize>>,
    vectors: Vec<libc::iovec>,
    names: Vec<Name>,
    slot_vectors: Vec<libc::iovec>,
    /// Reached through the headers only.
    _controls: Vec<Control>,
    /// Reached through `slot_vectors` only.
    _slots: Vec<u8>,
    /// Whether control messages are asked for: on sockets bound to all addresses.
    with_control: bool,
    /// How many headers the last call changed.
    received: usize,
}

impl Mailbox {
    /// For sockets that are bound to one address or, `wildcard`, to all.
    pub(super) fn new(wildcard: bool) -> Self {
        let mut slots = vec![0_u8; STRIDE * BATCH];
        let mut names = vec![
            // SAFETY: all its fields are integers and arrays of them, for which zero is a value.
            unsafe { MaybeUninit::<Name>::zeroed().assume_init() };
            BATCH
        ];
        let mut controls = vec![Control([0; CONTROL]); BATCH];
        let mut slot_vectors: Vec<libc::iovec> = slots
            .chunks_exact_mut(STRIDE)
            .map(|slot| libc::iovec {
                iov_base: slot.as_mut_ptr().cast(),
                iov_len: LARGEST,
            })
            .collect();
        let parts = slot_vectors.iter_mut().zip(&mut names).zip(&mut controls);
        let incoming = parts
            .map(|((vector, name), control)| {
                let mut header = empty();
                header.msg_hdr.msg_iov = vector;
                header.msg_hdr.msg_iovlen = 1;
                header.msg_hdr.msg_name = ptr::from_mut(name).cast();
                header.msg_hdr.msg_namelen = size_of::<Name>() as libc::socklen_t;
                if wildcard {
                    header.msg_hdr.msg_control = ptr::from_mut(control).cast();
                    header.msg_hdr.msg_controllen = CONTROL as _;
                }
                header
            })
            .collect();
        let nowhere = libc::iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        };
        Self {
            incoming,
            outgoing: (0..BATCH).map(|_| empty()).collect(),
            ranges: Vec::with_capacity(BATCH),
            vectors: vec![nowhere; BATCH],
            names,
            slot_vectors,
            _controls: controls,
            _slots: slots,
            with_control: wildcard,
            received: 0,
        }
    }

    /// Takes what is there, at most [`BATCH`] datagrams; `wait`s for the first one, as long as the socket's
    /// timeout allows. Forgets the batch before.
    pub(super) fn receive(&mut self, socket: &UdpSocket, wait: bool) -> io::Result<usize> {
        for header in self.incoming.iter_mut().take(self.received) {
            header.msg_hdr.msg_namelen = size_of::<Name>() as libc::socklen_t;
            if self.with_control {
                header.msg_hdr.msg_controllen = CONTROL as _;
            }
        }
        self.received = 0;
        self.ranges.clear();
        let flags = if wait {
            libc::MSG_WAITFORONE
        } else {
            libc::MSG_DONTWAIT
        };
        // SAFETY: there are as many headers as are told. Each points to one name, one vector with one buffer, and
        // one control buffer or none, with their true lengths; all are alive, and no reference to any of them
        // is, while the system writes there. Without a timeout nothing is read behind the last pointer.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.incoming.as_mut_ptr(),
                self.incoming.len() as libc::c_uint,
                flags as _,
                ptr::null_mut(),
            )
        };
        self.received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        Ok(self.received)
    }

    /// The `i`th datagram of the batch and who sent it; `None` beyond the last one, and for what nobody sent:
    /// a socket that was shut down gives such.
    pub(super) fn datagram(&self, i: usize) -> Option<(&[u8], SocketAddr)> {
        let header = self.incoming.get(i).filter(|_| i < self.received)?;
        let peer = peer(self.names.get(i)?, header.msg_hdr.msg_namelen)?;
        let vector = self.slot_vectors.get(i)?;
        let length = (header.msg_len as usize).min(LARGEST);
        // SAFETY: the vector points to LARGEST octets of `slots`, initialised when they were allocated. Only the
        // system writes there, in `receive`, for which this borrow of the mailbox must have ended.
        let octets = unsafe { std::slice::from_raw_parts(vector.iov_base.cast::<u8>(), length) };
        Some((octets, peer))
    }

    /// Notes that the `i`th datagram is answered by these octets of those that [`Mailbox::send`] will get.
    pub(super) fn reply(&mut self, i: usize, octets: Range<usize>) {
        let count = self.ranges.len();
        let (Some(asked), Some(reply)) = (self.incoming.get(i), self.outgoing.get_mut(count))
        else {
            return;
        };
        reply.msg_hdr.msg_name = asked.msg_hdr.msg_name;
        reply.msg_hdr.msg_namelen = asked.msg_hdr.msg_namelen;
        reply.msg_hdr.msg_iovlen = 1;
        if self.with_control {
            // What the system said of the way in is what it is told of the way out.
            reply.msg_hdr.msg_control = asked.msg_hdr.msg_control;
            reply.msg_hdr.msg_controllen = asked.msg_hdr.msg_controllen;
            turn(&mut reply.msg_hdr);
        }
        self.ranges.push(octets);
    }

    /// Sends all replies of the batch; `octets` are what their ranges are of. One that the system refuses keeps
    /// none of the others back; `failed` is told of it.
    pub(super) fn send(
        &mut self,
        socket: &UdpSocket,
        octets: &[u8],
        mut failed: impl FnMut(&io::Error),
    ) {
        let replies = self.outgoing.iter_mut().zip(&mut self.vectors);
        for ((header, vector), range) in replies.zip(&self.ranges) {
            let octets = octets.get(range.clone()).unwrap_or(&[]);
            // The system only reads what is sent.
            vector.iov_base = octets.as_ptr().cast_mut().cast();
            vector.iov_len = octets.len();
            header.msg_hdr.msg_iov = vector;
        }
        let count = self.ranges.len().min(self.outgoing.len());
        let mut done = 0;
        while let Some(rest) = self
            .outgoing
            .get_mut(done..count)
            .filter(|rest| !rest.is_empty())
        {
            // SAFETY: there are as many headers as are told. Each points to one vector over octets that are
            // borrowed until we return, and to a name and a control buffer (or none) of this mailbox, with the
            // lengths the system gave them in `receive`; nothing else refers to them meanwhile.
            let sent = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as libc::c_uint,
                    0,
                )
            };
            match usize::try_from(sent) {
                Ok(sent) if sent > 0 => done += sent,
                _ => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    // The buffer stayed full for the socket's timeout: it would for the others as well.
                    error if error.kind() == io::ErrorKind::WouldBlock => {
                        rest.iter().for_each(|_| failed(&error));
                        break;
                    }
                    // The error is that of the first one: those before it would have been reported as sent.
                    error => {
                        failed(&error);
                        done += 1;
                    }
                },
            }
        }
        self.ranges.clear();
    }
}

/// A header that points nowhere.
fn empty() -> libc::mmsghdr {
    // SAFETY: its fields are integers and pointers, for which zero and null are values. It cannot be written out
    // field by field: some systems have padding in it that is private.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn peer(name: &Name, length: libc::socklen_t) -> Option<SocketAddr> {
    let length = length as usize;
    // SAFETY: the union was zeroed when it was made, so every octet of it is initialised, and any octets are a
    // value of any of its fields.
    let (family, v4, v6) = unsafe { (i32::from(name.any), &name.v4, &name.v6) };
    match family {
        libc::AF_INET if length >= size_of::<libc::sockaddr_in>() => {
            let address = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(address, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 if length >= size_of::<libc::sockaddr_in6>() => {
            let address = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(SocketAddrV6::new(address, port, 0, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// Makes of "this came to that address, through that interface" a "send it from that address": through
/// whichever interface leads to the peer, but for link-local addresses, which mean nothing without theirs.
fn turn(header: &mut libc::msghdr) {
    // SAFETY: `msg_control` points to a whole and aligned `Control`, of which `msg_controllen` octets were written
    // by the system as control messages: the first begins where it begins, and is only read when it is
    // long enough for what its type says it holds. The data of control messages need not be aligned.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(header);
        let Some(head) = message.as_ref() else {
            return;
        };
        #[allow(clippy::unnecessary_cast)] // other C libraries have another type there
        let length = head.cmsg_len as usize;
        let data = libc::CMSG_DATA(message);
        match (head.cmsg_level, head.cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO)
                if length >= libc::CMSG_LEN(size_of::<libc::in_pktinfo>() as u32) as usize =>
            {
                let info = data.cast::<libc::in_pktinfo>();
                (&raw mut (*info).ipi_ifindex).write_unaligned(0);
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO)
                if length >= libc::CMSG_LEN(size_of::<libc::in6_pktinfo>() as u32) as usize =>
            {
                let info = data.cast::<libc::in6_pktinfo>();
                let asked = (&raw const (*info).ipi6_addr).read_unaligned();
                if !Ipv6Addr::from(asked.s6_addr).is_unicast_link_local() {
                    (&raw mut (*info).ipi6_ifindex).write_unaligned(0);
                }
            }
            // Not asked for; the system chooses the address then.
            _ => header.msg_controllen = 0,
        }
    }
}

/// Lets datagrams go out without DF, whatever some router once said of the path (Linux: "omit"): an answer
/// that anyone could shrink or suppress with a forged ICMP message is one less.
pub(super) fn ignore_path_mtu(socket: &UdpSocket, is_v6: bool) -> io::Result<()> {
    let (level, option, value) = if is_v6 {
        (
            libc::IPPROTO_IPV6,
            libc::IPV6_MTU_DISCOVER,
            libc::IPV6_PMTUDISC_OMIT,
        )
    } else {
        (
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            libc::IP_PMTUDISC_OMIT,
        )
    };
    // SAFETY: the value is an int, alive during the call, and its length is told.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            ptr::from_ref(&value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// How many datagrams the system has dropped because this socket's buffer was full; it wraps.
pub(super) fn dropped(socket: &UdpSocket) -> io::Result<u32> {
    /// Of `include/uapi/linux/sock_diag.h`: SK_MEMINFO_DROPS, and how many values there are.
    const DROPS: usize = 8;
    const VALUES: usize = 9;
    let mut values = [0_u32; VALUES];
    let mut length = size_of_val(&values) as libc::socklen_t;
    // SAFETY: the system writes at most `length` octets into the values, which are alive during the call, and
    // any octets are a value.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &mut length,
        )
    };
    if result == 0 {
        Ok(values.get(DROPS).copied().unwrap_or(0))
    } else {
        Err(io::Error::last_os_error())
    }
}
