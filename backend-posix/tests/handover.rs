//! Sealed memory, handed from process to process. The second process is this binary again, its end of the socket as its
//! standard input.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{
    recvmsg, sendmsg, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use std::env;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use zeroipc_nostd::{Array, Queue, RegionError};
use zeroipc_posix::{Error, Memory};

const TASK: &str = "ZEROIPC_POSIX_TEST_TASK";

/// What the other process does; nothing when run as a test.
#[test]
fn in_the_other_process() {
    if env::var(TASK).is_err() {
        return;
    }
    let socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    let memory = Memory::receive_from(&socket).unwrap();
    let jobs = Queue::<u32>::open(&memory, "jobs").unwrap();
    let sums = Queue::<u32>::open(&memory, "sums").unwrap();
    let sum = (0..100).map(|_| jobs.pop().unwrap()).sum();
    sums.push(sum).unwrap();
}

#[test]
fn another_process_shares_what_it_is_handed() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let memory = Memory::anonymous(1 << 16).unwrap();
    let jobs = Queue::<u32>::create(&memory, "jobs", 8).unwrap();
    let sums = Queue::<u32>::create(&memory, "sums", 1).unwrap();
    let mut peer = Command::new(env::current_exe().unwrap())
        .args(["--exact", "in_the_other_process", "--nocapture"])
        .env(TASK, "share")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    memory.send_to(&ours).unwrap();
    for job in 0..100 {
        jobs.push(job).unwrap();
    }
    assert_eq!(sums.pop(), Ok(4950));
    assert!(peer.wait().unwrap().success());
}

#[test]
fn what_was_received_can_be_handed_on() {
    let (a, b) = UnixStream::pair().unwrap();
    let memory = Memory::anonymous(1 << 14).unwrap();
    Array::<u32>::create(&memory, "a", 4).unwrap().store(1, 5).unwrap();
    memory.send_to(&a).unwrap();
    let second = Memory::receive_from(&b).unwrap();
    drop(memory);
    second.send_to(&b).unwrap();
    let third = Memory::receive_from(&a).unwrap();
    assert_eq!(Array::<u32>::open(&third, "a").unwrap().load(1), Ok(5));
}

#[test]
fn a_peer_can_neither_resize_nor_unseal() {
    let (a, b) = UnixStream::pair().unwrap();
    Memory::anonymous(1 << 16).unwrap().send_to(&a).unwrap();
    let fd = receive_raw(&b);
    for size in [0, 4096, 1 << 20] {
        assert_eq!(rustix::fs::ftruncate(&fd, size), Err(rustix::io::Errno::PERM));
    }
    assert!(rustix::fs::fcntl_add_seals(&fd, SealFlags::WRITE).is_err());
}

#[test]
fn only_sealed_memory_is_taken() {
    let sealable = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let whole = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    let memfd = |seals| {
        let fd = rustix::fs::memfd_create("test", sealable).unwrap();
        rustix::fs::ftruncate(&fd, 1 << 14).unwrap();
        rustix::fs::fcntl_add_seals(&fd, seals).unwrap();
        fd
    };
    let socket = OwnedFd::from(UnixStream::pair().unwrap().0);
    let file = OwnedFd::from(std::fs::File::open(env::current_exe().unwrap()).unwrap());
    for (fd, error) in [
        (memfd(SealFlags::empty()), Error::NotSealed),
        (memfd(SealFlags::SHRINK), Error::NotSealed),
        (memfd(SealFlags::SHRINK | SealFlags::GROW), Error::NotSealed),
        (socket, Error::NotSealed),
        (file, Error::NotSealed),
        (memfd(whole), Error::Region(RegionError::WrongMagic { found: 0 })),
        (memfd(whole | SealFlags::WRITE), Error::PermissionDenied),
    ] {
        let (a, b) = UnixStream::pair().unwrap();
        send_raw(&a, b"Z", &[fd.as_fd()]);
        assert_eq!(Memory::receive_from(&b).unwrap_err(), error);
    }
}

#[test]
fn exactly_one_descriptor_is_taken() {
    let fd = rustix::fs::memfd_create("test", MemfdFlags::CLOEXEC).unwrap();
    let refused = |send: &dyn Fn(&mut UnixStream)| {
        let (mut a, b) = UnixStream::pair().unwrap();
        send(&mut a);
        let error = Memory::receive_from(&b).unwrap_err();
        assert!(matches!(error, Error::Handover { .. }), "{error:?}");
        error.to_string()
    };
    refused(&|a| send_raw(a, b"Z", &[fd.as_fd(), fd.as_fd()]));
    refused(&|a| send_raw(a, b"Z", &[fd.as_fd(); 20]));
    refused(&|a| send_raw(a, b"x", &[fd.as_fd()]));
    refused(&|a| a.write_all(b"hello").unwrap());
    let closed = refused(&|a| a.shutdown(std::net::Shutdown::Both).unwrap());
    assert!(closed.contains("closed"), "{closed}");
}

#[test]
fn other_data_on_the_socket_stays_where_it_is() {
    let (mut a, mut b) = UnixStream::pair().unwrap();
    a.write_all(b"before").unwrap();
    Memory::anonymous(1 << 14).unwrap().send_to(&a).unwrap();
    a.write_all(b"after").unwrap();
    let mut word = [0; 6];
    b.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"before");
    Memory::receive_from(&b).unwrap();
    b.read_exact(&mut word[..5]).unwrap();
    assert_eq!(&word[..5], b"after");
}

#[test]
fn named_memory_is_not_handed_over() {
    let path = env::temp_dir().join(format!("zeroipc-handover-{}", std::process::id()));
    let memory = Memory::create_file(&path, 1 << 14);
    std::fs::remove_file(&path).unwrap();
    let (a, _b) = UnixStream::pair().unwrap();
    assert_eq!(memory.unwrap().send_to(&a), Err(Error::NotSealed));
}

fn send_raw(socket: &UnixStream, data: &[u8], fds: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(32))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
    sendmsg(socket, &[IoSlice::new(data)], &mut control, SendFlags::empty()).unwrap();
}

fn receive_raw(socket: &UnixStream) -> OwnedFd {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let data = &mut [IoSliceMut::new(&mut byte)];
    recvmsg(socket, data, &mut control, RecvFlags::empty()).unwrap();
    let fd = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    fd.unwrap()
}
