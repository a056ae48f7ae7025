//! Tasks at a channel without a buffer: each state that one waits in, what it leaves when it is dropped there, and who is woken.
#![cfg(not(any(loom, zeroipc_fault)))]

mod desk;
mod memory;
mod mortals;

use desk::{Desk, Task};
use memory::Memory;
use mortals::Mortals;
use std::task::Poll::{Pending, Ready};
use std::thread;
use std::time::Duration;
use zeroipc_nostd::{
    select_with, try_select, Channel, ChannelRecv, ChannelSend, FormatOptions, RecvError, Region,
    Selectable, SendError, Spin, TryRecvError, TrySendError, Waiting,
};

type Block = [u64; 3];
type Recv<'a> = Task<Waiting<'a, ChannelRecv<'a, Block>>>;
type Send<'a> = Task<Waiting<'a, ChannelSend<'a, Block>>>;

fn block(n: u64) -> Block {
    [n, !n, n]
}

/// A channel with so many places of each kind; at the end nobody waits at it any more, in any way.
fn at_a_channel(places: u32, body: impl FnOnce(&Desk, Channel<'_, Block>)) {
    at_a_channel_with(Desk::new(), places, body);
}

fn at_a_channel_with(desk: Desk, places: u32, body: impl FnOnce(&Desk, Channel<'_, Block>)) {
    let mut memory = Memory::filled(1 << 14, 0xA5);
    let region = memory.region(FormatOptions::new()).with_notifier(&desk);
    let channel = Channel::create_with_places(region, "channel", places).unwrap();
    body(&desk, channel);
    assert_eq!((waiting(region), desk.len()), (0, 0));
    // Each place of either kind is free: otherwise some of these could not be shown.
    let receivers: Vec<_> = (0..places).map(|_| recv(channel)).collect();
    if !channel.is_closed() {
        assert_eq!(waiting(region), u64::from(places));
        drop(receivers);
        let senders: Vec<_> = (0..places).map(|_| send(channel, 9)).collect();
        assert_eq!(waiting(region), u64::from(places));
        drop(senders);
    }
}

/// How many wait at places.
fn waiting(region: Region<'_>) -> u64 {
    let view = region.view();
    view.inspect(&view.find("channel").unwrap()).unwrap().fill.unwrap()
}

fn recv(channel: Channel<'_, Block>) -> Recv<'_> {
    let mut task = Task::new(channel.recv_async());
    assert!(channel.is_closed() || task.poll().is_pending());
    task
}

fn send(channel: Channel<'_, Block>, n: u64) -> Send<'_> {
    let mut task = Task::new(channel.send_async(block(n)));
    assert!(channel.is_closed() || task.poll().is_pending());
    task
}

#[test]
fn whoever_came_first_is_woken() {
    at_a_channel(1, |_, channel| {
        for n in 0..100 {
            let mut receiver = recv(channel);
            let mut sender = send(channel, n);
            assert!(!sender.is_woken() && sender.poll().is_pending(), "it was not taken yet");
            assert_eq!(receiver.woken(), Ready(Ok(block(n))));
            assert_eq!(sender.woken(), Ready(Ok(())));

            let mut sender = send(channel, n);
            let mut receiver = Task::new(channel.recv_async());
            assert_eq!(receiver.poll(), Ready(Ok(block(n))));
            assert_eq!(sender.woken(), Ready(Ok(())));
        }
    });
}

/// After it was ready a future begins anew.
#[test]
fn a_future_that_was_ready_begins_anew() {
    at_a_channel(2, |_, channel| {
        let (mut receiver, mut sender) = (recv(channel), send(channel, 1));
        for _ in 0..3 {
            assert_eq!(receiver.poll(), Ready(Ok(block(1))));
            assert_eq!(sender.poll(), Ready(Ok(())));
            assert!(receiver.poll().is_pending() && sender.poll().is_pending());
        }
    });
}

/// Nothing is given to a task, which may be gone; whoever waits meets it.
#[test]
fn nothing_is_given_to_a_task() {
    at_a_channel(1, |desk, channel| {
        let mut receiver = recv(channel);
        assert_eq!(channel.try_send(block(1)), Err(TrySendError::Full(block(1))));
        let case = channel.select_send(block(1));
        assert_eq!(try_select(&[&case]), None);
        assert!(receiver.poll().is_pending());
        thread::scope(|scope| {
            let sender = scope.spawn(|| channel.send_with(block(2), desk, None));
            assert_eq!(until_ready(&mut receiver), Ok(block(2)));
            assert_eq!(sender.join().unwrap(), Ok(()));
        });
        // What a thread offers, and a task, is there for who does not wait.
        let mut sender = send(channel, 3);
        assert_eq!(channel.try_recv(), Ok(block(3)));
        assert_eq!(sender.woken(), Ready(Ok(())));
        let (mut sender, case) = (send(channel, 4), channel.select_recv());
        assert_eq!(try_select(&[&case]), Some(0));
        assert_eq!((case.result(), sender.woken()), (Some(Ok(block(4))), Ready(Ok(()))));
    });
}

/// Polls a task whenever it is woken.
fn until_ready<F: std::future::Future + Unpin>(task: &mut Task<F>) -> F::Output {
    let start = std::time::Instant::now();
    loop {
        if task.is_woken() {
            if let Ready(output) = task.poll() {
                return output;
            }
        }
        assert!(start.elapsed() < Duration::from_secs(30), "nobody woke it");
        thread::yield_now();
    }
}

#[test]
fn tasks_meet_threads() {
    at_a_channel(1, |desk, channel| {
        thread::scope(|scope| {
            let receiver = scope.spawn(|| channel.recv_with(desk, None));
            let mut sender = Task::new(channel.send_async(block(5)));
            if sender.poll().is_pending() {
                assert_eq!(until_ready(&mut sender), Ok(()));
            }
            assert_eq!(receiver.join().unwrap(), Ok(block(5)));
        });
        let sender = channel.send_with(block(6), desk, Some(0));
        assert_eq!(sender, Err(SendError::Timeout(block(6))), "there is nobody");
    });
}

/// A select that offers and requests at the same channel meets a task, on either side.
#[test]
fn tasks_meet_a_select_that_goes_both_ways() {
    at_a_channel(2, |desk, channel| {
        for sends in [false, true] {
            thread::scope(|scope| {
                let select = scope.spawn(|| {
                    let (send, recv) = (channel.select_send(block(7)), channel.select_recv());
                    let cases: [&dyn Selectable; 2] = [&send, &recv];
                    match select_with(&cases, desk, None) {
                        Ok(0) => None,
                        Ok(_) => recv.result(),
                        Err(error) => panic!("{error}"),
                    }
                });
                if sends {
                    let mut task = Task::new(channel.send_async(block(8)));
                    if task.poll().is_pending() {
                        assert_eq!(until_ready(&mut task), Ok(()));
                    }
                    assert_eq!(select.join().unwrap(), Some(Ok(block(8))));
                } else {
                    let mut task = Task::new(channel.recv_async());
                    let received = match task.poll() {
                        Ready(received) => received,
                        Pending => until_ready(&mut task),
                    };
                    assert_eq!((received, select.join().unwrap()), (Ok(block(7)), None));
                }
            });
        }
    });
}

/// Never polled: nothing was ever there.
#[test]
fn dropped_before_it_began() {
    at_a_channel(1, |_, channel| {
        drop((Task::new(channel.send_async(block(1))), Task::new(channel.recv_async())));
        assert_eq!(channel.try_recv(), Err(TryRecvError::Empty));
    });
}

#[test]
fn a_receiver_dropped_at_its_place() {
    at_a_channel(2, |_, channel| {
        // Not woken: nobody else is.
        let (first, second) = (recv(channel), recv(channel));
        drop(first);
        assert!(!second.is_woken());
        // Woken for an offer: another is woken for that.
        let third = recv(channel);
        let mut sender = send(channel, 1);
        let (mut woken, mut other) =
            if second.is_woken() { (second, third) } else { (third, second) };
        assert!(woken.is_woken() && !other.is_woken());
        // Woken or not, a poll takes it. Here it is dropped instead.
        drop(woken);
        assert_eq!(other.woken(), Ready(Ok(block(1))));
        assert_eq!(sender.woken(), Ready(Ok(())));
        // With nobody to pass it on to, the offer stays.
        woken = recv(channel);
        let mut sender = send(channel, 2);
        drop(woken);
        assert_eq!(other.poll(), Ready(Ok(block(2))));
        assert_eq!(sender.woken(), Ready(Ok(())));
    });
}

/// One took an offer; another offer, for which only that one was woken, is not forgotten.
#[test]
fn a_receiver_that_was_woken_for_two_wakes_another() {
    at_a_channel(2, |_, channel| {
        let mut first = recv(channel);
        let mut senders = [send(channel, 1), send(channel, 2)];
        let mut second = Task::new(channel.recv_async());
        // It is at its place when the first leaves.
        let Ready(Ok(received)) = first.woken() else { panic!("nothing") };
        let mut all = vec![received[0]];
        let Ready(Ok(received)) = second.poll() else { panic!("nothing") };
        all.push(received[0]);
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
        assert!(senders.iter_mut().all(|sender| sender.woken() == Ready(Ok(()))));

        let (mut first, mut second) = (recv(channel), recv(channel));
        let mut senders = [send(channel, 3), send(channel, 4)];
        // Each rang one that was asleep.
        assert!(first.woken().is_ready() && second.woken().is_ready());
        assert!(senders.iter_mut().all(|sender| sender.woken().is_ready()));
    });
}

#[test]
fn a_sender_dropped_at_its_place() {
    at_a_channel(1, |_, channel| {
        drop(send(channel, 1));
        assert_eq!(channel.try_recv(), Err(TryRecvError::Empty), "taken back");
        // Taken already: once, and nobody told the sender.
        let sender = send(channel, 2);
        assert_eq!(channel.try_recv(), Ok(block(2)));
        assert!(sender.is_woken());
        drop(sender);
        assert_eq!(channel.try_recv(), Err(TryRecvError::Empty));
        // A receiver that was woken for what is taken back waits on.
        let mut receiver = recv(channel);
        drop(send(channel, 3));
        assert!(receiver.woken().is_pending());
        let mut sender = send(channel, 4);
        assert_eq!(receiver.woken(), Ready(Ok(block(4))));
        assert_eq!(sender.woken(), Ready(Ok(())));
    });
}

/// Who withdraws knows whether its value was taken.
#[test]
fn a_sender_that_withdraws_knows() {
    at_a_channel(1, |_, channel| {
        assert_eq!(Task::new(channel.send_async(block(1))).into_future().withdraw(), Err(block(1)));
        let offered = send(channel, 2);
        let waits = send(channel, 3);
        assert_eq!(waits.into_future().withdraw(), Err(block(3)), "it waited for a place");
        let mut next = send(channel, 4);
        assert_eq!(offered.into_future().withdraw(), Err(block(2)));
        assert!(next.woken().is_pending());
        assert_eq!(channel.try_recv(), Ok(block(4)));
        assert_eq!(next.into_future().withdraw(), Ok(()));
        assert_eq!(channel.try_recv(), Err(TryRecvError::Empty));
    });
    let desk = Desk::new();
    let mut memory = Memory::zeroed(1 << 14);
    let region = memory.region(FormatOptions::new()).with_notifier(&desk);
    let buffered = Channel::<Block>::create(region, "buffered", 2).unwrap();
    (0..2).for_each(|n| buffered.try_send(block(n)).unwrap());
    assert_eq!(send(buffered, 2).into_future().withdraw(), Err(block(2)));
    assert_eq!(buffered.len(), 2);
}

/// Those that find no place are woken one by one as places come back, and are then woken where they are.
#[test]
fn those_without_a_place_wait_for_one() {
    at_a_channel(1, |_, channel| {
        let mut senders = [send(channel, 1), send(channel, 2), send(channel, 3)];
        assert_eq!(channel.try_recv(), Ok(block(1)));
        assert!(!senders[1].is_woken(), "the place is not free yet");
        assert_eq!(senders[0].woken(), Ready(Ok(())));
        assert!(!senders[2].is_woken());
        assert!(senders[1].woken().is_pending());
        assert_eq!(channel.try_recv(), Ok(block(2)));
        assert_eq!(senders[1].woken(), Ready(Ok(())));
        assert!(senders[2].woken().is_pending());
        assert_eq!(channel.try_recv(), Ok(block(3)));
        assert_eq!(senders[2].woken(), Ready(Ok(())));

        let mut receivers = [recv(channel), recv(channel), recv(channel)];
        for n in 0..3 {
            let mut sender = send(channel, n as u64);
            assert_eq!(receivers[n].woken(), Ready(Ok(block(n as u64))));
            assert_eq!(sender.woken(), Ready(Ok(())));
            if let Some(next) = receivers.get_mut(n + 1) {
                assert!(next.woken().is_pending());
            }
        }
    });
}

/// A task that is polled for no reason finds a place that came back, though it was another that was woken for it.
#[test]
fn a_place_may_go_to_who_was_not_woken() {
    at_a_channel(1, |_, channel| {
        let (at_it, mut woken, mut quick) = (recv(channel), recv(channel), recv(channel));
        drop(at_it);
        assert!(quick.poll().is_pending());
        assert!(woken.woken().is_pending());
        let mut sender = send(channel, 1);
        assert_eq!(quick.woken(), Ready(Ok(block(1))));
        assert_eq!(sender.woken(), Ready(Ok(())));
        assert!(woken.woken().is_pending());
        let mut sender = send(channel, 2);
        assert_eq!(woken.woken(), Ready(Ok(block(2))));
        assert_eq!(sender.woken(), Ready(Ok(())));
    });
}

#[test]
fn dropped_while_it_waits_for_a_place() {
    at_a_channel(1, |_, channel| {
        // Not woken: nobody misses it.
        let (at_it, waits, mut next) = (send(channel, 1), send(channel, 2), send(channel, 3));
        drop(waits);
        assert!(next.poll().is_pending());
        // Woken for the place: the next is.
        let last = send(channel, 4);
        drop(at_it);
        assert!(next.is_woken() && !last.is_woken());
        drop(next);
        next = last;
        assert!(next.woken().is_pending());
        assert_eq!(channel.try_recv(), Ok(block(4)));
        assert_eq!(next.woken(), Ready(Ok(())));
    });
}

/// A receiver that was woken for a place and finds a value instead leaves the place to the next.
#[test]
fn who_needs_no_place_leaves_it() {
    at_a_channel(1, |_, channel| {
        let (at_it, mut second, mut third) = (recv(channel), recv(channel), recv(channel));
        let mut first = send(channel, 1);
        drop(at_it);
        assert!(!third.is_woken());
        assert_eq!(second.woken(), Ready(Ok(block(1))));
        assert_eq!(first.woken(), Ready(Ok(())));
        assert!(third.woken().is_pending());
        let mut next = send(channel, 2);
        assert_eq!(third.woken(), Ready(Ok(block(2))));
        assert_eq!(next.woken(), Ready(Ok(())));
    });
}

/// The same between parties: nobody but the structure knows of both.
#[test]
fn who_needs_no_place_leaves_it_to_another_party() {
    let desks = [Desk::new(), Desk::new()];
    let mut memory = Memory::zeroed(1 << 14);
    let region = memory.region(FormatOptions::new());
    Channel::<Block>::create_with_places(region, "channel", 1).unwrap();
    let parties = [0, 1].map(|party| One { mine: &desks[party], all: &desks });
    let [ours, theirs] = parties
        .each_ref()
        .map(|party| Channel::<Block>::open(region.with_notifier(party), "channel").unwrap());
    let (at_it, mut second, mut third) = (recv(ours), recv(ours), recv(theirs));
    let mut first = send(theirs, 1);
    drop(at_it);
    assert!(!third.is_woken());
    assert_eq!(second.woken(), Ready(Ok(block(1))));
    assert_eq!(first.woken(), Ready(Ok(())));
    assert!(third.woken().is_pending());
    let mut next = send(ours, 2);
    assert_eq!(third.woken(), Ready(Ok(block(2))));
    assert_eq!(next.woken(), Ready(Ok(())));
}

/// One of two parties, each of which has a desk for its own tasks and wakes at both.
#[derive(Debug)]
struct One<'d> {
    mine: &'d Desk,
    all: &'d [Desk; 2],
}

impl zeroipc_nostd::Wait for One<'_> {
    fn now(&self) -> u64 {
        self.mine.now()
    }

    fn wait(&self, word: zeroipc_nostd::WaitWord<'_>, expected: u32, deadline: u64) {
        self.mine.wait(word, expected, deadline);
    }

    fn wake(&self, word: zeroipc_nostd::WaitWord<'_>, count: u32) -> u32 {
        let mut woken = 0;
        for desk in self.all {
            woken += desk.wake(word, count - woken);
        }
        woken
    }

    fn reactor(&self) -> Option<&dyn zeroipc_nostd::Reactor> {
        Some(self.mine)
    }
}

#[test]
fn a_close_releases_all() {
    at_a_channel(1, |_, channel| {
        let mut receivers = [recv(channel), recv(channel)];
        assert!(channel.close());
        for receiver in &mut receivers {
            assert_eq!(receiver.woken(), Ready(Err(RecvError::Closed)));
        }
    });
    at_a_channel(2, |_, channel| {
        let mut senders = [send(channel, 1), send(channel, 2), send(channel, 3)];
        let Ok(taken) = channel.try_recv() else { panic!("nothing") };
        assert!(channel.close());
        assert_eq!(channel.try_recv(), Err(TryRecvError::Closed));
        for (sender, n) in senders.iter_mut().zip(1..) {
            let sent = if taken == block(n) { Ok(()) } else { Err(SendError::Closed(block(n))) };
            assert_eq!(sender.woken(), Ready(sent), "what was taken before the close was sent");
        }
        assert_eq!(Task::new(channel.recv_async()).poll(), Ready(Err(RecvError::Closed)));
        let late = Task::new(channel.send_async(block(4))).poll();
        assert_eq!(late, Ready(Err(SendError::Closed(block(4)))));
    });
}

/// Nothing to be woken by: an error, and no offer or request is left.
#[test]
fn without_a_reactor() {
    at_a_channel(1, |desk, channel| {
        desk.set_full(true);
        let mut sender = Task::new(channel.send_async(block(1)));
        assert_eq!(sender.poll(), Ready(Err(SendError::NoWaiter(block(1)))));
        assert_eq!(channel.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(Task::new(channel.recv_async()).poll(), Ready(Err(RecvError::NoWaiter)));
        desk.set_full(false);
        // One that has come to a place and finds the desk full there.
        let at_it = recv(channel);
        let mut second = recv(channel);
        desk.set_full(true);
        drop(at_it);
        assert_eq!(second.woken(), Ready(Err(RecvError::NoWaiter)));
        desk.set_full(false);
    });
    let mut memory = Memory::zeroed(1 << 14);
    let region = memory.region(FormatOptions::new());
    let spin = Spin::new(|| 0);
    for region in [region, region.with_notifier(&spin)] {
        let channel = Channel::<Block>::open_or_create(region, "channel", 0).unwrap();
        for _ in 0..20 {
            let sent = Task::new(channel.send_async(block(1))).poll();
            assert_eq!(sent, Ready(Err(SendError::NoWaiter(block(1)))));
            assert_eq!(Task::new(channel.recv_async()).poll(), Ready(Err(RecvError::NoWaiter)));
        }
        assert_eq!(waiting(region), 0);
    }
}

/// Several places come back while the one that wakes tasks is not there: each task that takes one sees to the next.
#[test]
fn several_places_come_back_at_once() {
    at_a_channel_with(Desk::asleep(), 2, |desk, channel| {
        let at_places = [recv(channel), recv(channel)];
        let mut wait = [recv(channel), recv(channel)];
        drop(at_places);
        desk.run();
        assert!(wait[0].woken().is_pending());
        assert!(wait[1].woken().is_pending());
        let mut senders = [send(channel, 1), send(channel, 2)];
        desk.run();
        for receiver in &mut wait {
            assert!(receiver.woken().is_ready());
        }
        desk.run();
        assert!(senders.iter_mut().all(|sender| sender.woken() == Ready(Ok(()))));
    });
}

/// Who has no place learns of the close all the same.
#[test]
fn a_closed_channel_needs_no_place() {
    let desk = Desk::new();
    let mut memory = Memory::zeroed(1 << 14);
    let region = memory.region(FormatOptions::new()).with_notifier(&desk);
    let channel = Channel::<Block>::create_with_places(region, "channel", 1).unwrap();
    std::mem::forget(recv(channel));
    std::mem::forget(send(channel, 1));
    assert_eq!(channel.try_recv(), Ok(block(1)));
    let (mut receiver, mut sender) = (recv(channel), send(channel, 2));
    channel.close();
    assert_eq!(receiver.woken(), Ready(Err(RecvError::Closed)));
    assert_eq!(sender.woken(), Ready(Err(SendError::Closed(block(2)))));
}

/// What a leaked future offers can be taken, once; it keeps its place, and nothing else.
#[test]
fn a_leaked_task_keeps_its_place() {
    let desk = Desk::new();
    let mut memory = Memory::zeroed(1 << 14);
    let region = memory.region(FormatOptions::new()).with_notifier(&desk);
    let channel = Channel::<Block>::create_with_places(region, "channel", 2).unwrap();
    std::mem::forget(recv(channel));
    std::mem::forget(send(channel, 1));
    assert_eq!(channel.try_recv(), Ok(block(1)));
    assert_eq!(channel.try_recv(), Err(TryRecvError::Empty));
    for n in 0..10 {
        let mut sender = send(channel, n);
        let mut receiver = Task::new(channel.recv_async());
        assert_eq!((receiver.poll(), sender.woken()), (Ready(Ok(block(n))), Ready(Ok(()))));
    }
}

/// The places of tasks whose party is dead come back, to the first that needs one.
#[test]
fn the_dead_leave_their_places() {
    let (desk, mortals) = (Desk::new(), Mortals::new());
    let mut memory = Memory::zeroed(1 << 14);
    let region = memory.region(FormatOptions::new()).with_notifier(&desk);
    Channel::<Block>::create_with_places(region, "channel", 2).unwrap();
    let open = |party| Channel::<Block>::open(mortals.region(region, party), "channel").unwrap();
    let (dies, lives) = (open(1), open(2));
    (0..2).for_each(|_| std::mem::forget(recv(dies)));
    (0..2).for_each(|n| std::mem::forget(send(dies, n)));
    mortals.kill(1);
    let mut receiver = Task::new(lives.recv_async());
    // What the dead offer can be taken once.
    assert!(
        receiver.poll().is_ready() && receiver.poll().is_ready() && receiver.poll().is_pending()
    );
    let mut sender = send(lives, 7);
    assert_eq!((receiver.woken(), sender.woken()), (Ready(Ok(block(7))), Ready(Ok(()))));
}
