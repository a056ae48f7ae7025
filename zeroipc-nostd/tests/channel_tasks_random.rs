//! Tasks at a channel without a buffer that come, are polled, and are dropped at random: nothing is lost, doubled, or confirmed without
//! having been received, and as soon as all that were woken have looked, nobody waits for somebody who waits for it.
#![cfg(not(any(loom, zeroipc_fault)))]

mod desk;
mod memory;

use desk::{Desk, Task};
use memory::Memory;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::task::Poll::{Pending, Ready};
use zeroipc_nostd::{Channel, ChannelRecv, ChannelSend, FormatOptions, SendError, Waiting};

type Block = [u64; 3];
type Recv<'a> = Task<Waiting<'a, ChannelRecv<'a, Block>>>;
type Send<'a> = Task<Waiting<'a, ChannelSend<'a, Block>>>;

fn block(n: u64) -> Block {
    [n, !n, n]
}

/// A channel with so many places of each kind; at the end nobody waits at it any more, in any way.
fn at_a_channel(desk: Desk, places: u32, body: impl FnOnce(&Desk, Channel<'_, Block>)) {
    let mut memory = Memory::filled(1 << 14, 0xA5);
    let region = memory.region(FormatOptions::new()).with_notifier(&desk);
    body(&desk, Channel::create_with_places(region, "channel", places).unwrap());
    let view = region.view();
    let fill = view.inspect(&view.find("channel").unwrap()).unwrap().fill;
    assert_eq!((fill, desk.len()), (Some(0), 0));
}

#[derive(Debug, Clone)]
enum Step {
    Recv,
    Send,
    /// The n-th task that is there, by chance woken or not.
    Poll(usize),
    Drop(usize),
    /// All that were woken, until nobody is.
    Run,
    TryRecv,
    TrySend,
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        16 => Just(Step::Recv),
        16 => Just(Step::Send),
        16 => any::<usize>().prop_map(Step::Poll),
        12 => any::<usize>().prop_map(Step::Drop),
        6 => Just(Step::Run),
        4 => Just(Step::TryRecv),
        2 => Just(Step::TrySend),
        1 => Just(Step::Close),
    ];
    prop::collection::vec(step, 0..200)
}

enum Either<'a> {
    Recv(Recv<'a>),
    Send(u64, Send<'a>),
}

/// Tasks, and what came of those that are gone.
struct World<'a> {
    tasks: Vec<Either<'a>>,
    received: Vec<u64>,
    /// Confirmed.
    sent: BTreeSet<u64>,
    /// Dropped while they were pending.
    dropped: BTreeSet<u64>,
}

impl World<'_> {
    /// Polls a task; takes it out if it is ready.
    fn poll(&mut self, at: usize) {
        let done = match &mut self.tasks[at] {
            Either::Recv(task) => match task.poll() {
                Pending => false,
                Ready(received) => {
                    self.received.extend(received.ok().map(|value| value[0]));
                    true
                }
            },
            Either::Send(n, task) => match task.poll() {
                Pending => false,
                Ready(Ok(())) => self.sent.insert(*n),
                Ready(Err(error)) => {
                    assert_eq!(error, SendError::Closed(block(*n)));
                    true
                }
            },
        };
        if done {
            self.tasks.remove(at);
        }
    }

    fn is_woken(task: &Either<'_>) -> bool {
        match task {
            Either::Recv(task) => task.is_woken(),
            Either::Send(_, task) => task.is_woken(),
        }
    }

    fn run(&mut self, desk: &Desk) {
        desk.run();
        while let Some(at) = self.tasks.iter().position(Self::is_woken) {
            self.poll(at);
            desk.run();
        }
        // Nobody waits for somebody who waits for it.
        let senders = self.tasks.iter().filter(|task| matches!(task, Either::Send(..))).count();
        assert!(senders == 0 || senders == self.tasks.len(), "{senders} of {}", self.tasks.len());
    }
}

fn nothing_is_lost(desk: Desk, places: u32, steps: &[Step]) {
    at_a_channel(desk, places, |desk, channel| {
        let (tasks, received) = (Vec::new(), Vec::new());
        let (sent, dropped) = (BTreeSet::new(), BTreeSet::new());
        let mut world = World { tasks, received, sent, dropped };
        for (n, step) in (0..).zip(steps) {
            match step {
                Step::Recv => {
                    world.tasks.push(Either::Recv(Task::new(channel.recv_async())));
                    world.poll(world.tasks.len() - 1);
                }
                Step::Send => {
                    world.tasks.push(Either::Send(n, Task::new(channel.send_async(block(n)))));
                    world.poll(world.tasks.len() - 1);
                }
                Step::Poll(at) if !world.tasks.is_empty() => world.poll(at % world.tasks.len()),
                Step::Drop(at) if !world.tasks.is_empty() => {
                    if let Either::Send(n, _) = world.tasks.remove(at % world.tasks.len()) {
                        world.dropped.insert(n);
                    }
                }
                Step::Poll(_) | Step::Drop(_) => {}
                Step::Run => world.run(desk),
                Step::TryRecv => world.received.extend(channel.try_recv().map(|value| value[0])),
                // No thread waits.
                Step::TrySend => assert!(channel.try_send(block(n)).is_err()),
                Step::Close => drop(channel.close()),
            }
        }
        world.run(desk);
        channel.close();
        world.run(desk);
        assert!(world.tasks.is_empty(), "a close releases all");
        let received: BTreeSet<_> = world.received.iter().copied().collect();
        assert_eq!(received.len(), world.received.len(), "twice");
        assert!(world.sent.is_subset(&received), "confirmed, and not received");
        assert!(received.difference(&world.sent).all(|n| world.dropped.contains(n)));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn tasks_that_are_polled_and_dropped_at_random(places in 1_u32..4, steps in steps()) {
        nothing_is_lost(Desk::new(), places, &steps);
        nothing_is_lost(Desk::asleep(), places, &steps);
    }
}
