//! The three kinds of window, for anything that sends and receives.

use std::hint::black_box;

use zeroipc_nostd::Element;

use crate::duel::Contender;
use crate::hop::pause;

/// The sending end of something.
pub(crate) trait Sender<T> {
    /// Sends unless there is no room; whether it was sent.
    fn try_send(&mut self, value: T) -> bool;
    /// What can be done before there is something to send.
    fn get_ready(&mut self) {}
}

/// The receiving end of something.
pub(crate) trait Receiver<T> {
    fn try_receive(&mut self) -> Option<T>;
    /// What is to be done before the next is received.
    fn tidy(&mut self) {}
}

/// A value that carries a number in all of its bytes, so that a lost, doubled, swapped or torn one is noticed.
pub(crate) trait Payload: Element {
    fn numbered(number: u64) -> Self;
    /// 0 if it is the value with this number.
    fn differs(&self, number: u64) -> u64;
}

impl Payload for u64 {
    #[inline(always)]
    fn numbered(number: u64) -> Self {
        number
    }
    #[inline(always)]
    fn differs(&self, number: u64) -> u64 {
        self ^ number
    }
}

impl<const N: usize> Payload for [u64; N] {
    #[inline(always)]
    fn numbered(number: u64) -> Self {
        std::array::from_fn(|at| number.wrapping_add(at as u64))
    }
    #[inline(always)]
    fn differs(&self, number: u64) -> u64 {
        let words = self.iter().enumerate();
        words.fold(0, |seen, (at, word)| seen | (word ^ number.wrapping_add(at as u64)))
    }
}

/// The follower sends as fast as it can, the leader receives; both pause after a failed poll.
#[derive(Debug)]
pub(crate) struct Throughput<S, R> {
    pub(crate) sender: S,
    pub(crate) receiver: R,
}

/// [`Throughput`] of values of one type.
#[derive(Debug)]
pub(crate) struct Of<T, C> {
    pub(crate) contender: C,
    pub(crate) value: std::marker::PhantomData<T>,
}

/// A contender that carries values of `T`.
pub(crate) fn of<T, C>(contender: C) -> Of<T, C> {
    Of { contender, value: std::marker::PhantomData }
}

impl<T: Payload, S: Sender<T>, R: Receiver<T>> Contender for Of<T, Throughput<S, R>> {
    #[inline(never)]
    fn lead(&mut self, count: u64) -> bool {
        let receiver = &mut self.contender.receiver;
        let mut wrong = 0;
        for number in 0..count {
            wrong |= loop {
                if let Some(value) = receiver.try_receive() {
                    break value.differs(number);
                }
                pause();
            };
        }
        wrong == 0
    }

    #[inline(never)]
    fn follow(&mut self, count: u64) {
        let sender = &mut self.contender.sender;
        for number in 0..count {
            while !sender.try_send(T::numbered(number)) {
                pause();
            }
        }
    }
}

/// The leader sends one value there and the follower sends it back; an operation is one way, half of the round trip.
///
/// No pauses: each side polls a line that its peer writes once and does not read before.
#[derive(Debug)]
pub(crate) struct Latency<S, R> {
    pub(crate) there: (S, R),
    pub(crate) back: (S, R),
}

impl<T: Payload, S: Sender<T>, R: Receiver<T>> Contender for Of<T, Latency<S, R>> {
    #[inline(never)]
    fn lead(&mut self, count: u64) -> bool {
        let (sender, receiver) = (&mut self.contender.there.0, &mut self.contender.back.1);
        let mut wrong = 0;
        for number in 0..count / 2 {
            while !sender.try_send(T::numbered(number)) {}
            wrong |= poll(receiver).differs(number);
        }
        wrong == 0
    }

    #[inline(never)]
    fn follow(&mut self, count: u64) {
        let (receiver, sender) = (&mut self.contender.there.1, &mut self.contender.back.0);
        for _ in 0..count / 2 {
            let value = poll(receiver);
            while !sender.try_send(value) {}
        }
    }
}

#[inline(always)]
fn poll<T>(receiver: &mut impl Receiver<T>) -> T {
    loop {
        if let Some(value) = receiver.try_receive() {
            return value;
        }
    }
}

/// The leader sends and receives by itself, one value at a time; an operation is one of each.
#[derive(Debug)]
pub(crate) struct Solo<S, R> {
    pub(crate) sender: S,
    pub(crate) receiver: R,
}

impl<T: Payload, S: Sender<T>, R: Receiver<T>> Contender for Of<T, Solo<S, R>> {
    #[inline(never)]
    fn lead(&mut self, count: u64) -> bool {
        let Solo { sender, receiver } = &mut self.contender;
        let mut wrong = 0;
        for number in 0..count {
            let sent = sender.try_send(black_box(T::numbered(number)));
            wrong |= match receiver.try_receive() {
                Some(value) if sent => value.differs(number),
                _ => 1,
            };
        }
        wrong == 0
    }

    fn follow(&mut self, _count: u64) {}
}
