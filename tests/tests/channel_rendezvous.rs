//! Rendezvous of four senders and four receivers in eight processes, with random timeouts: nothing is lost, doubled, torn, or
//! confirmed without having been received; and what timed out was not received.

use std::time::Duration;
use zeroipc::{Array, Channel, Memory, RecvError, SendError, TryRecvError, TrySendError};
use zeroipc_tests::processes::{part, Part, Party};
use zeroipc_tests::random::{mix, Random};
use zeroipc_tests::scratch::Scratch;

const LIMIT: Duration = Duration::from_secs(100);
const SENDERS: u64 = 4;
const RECEIVERS: u64 = 4;

/// How many values go over; `ZEROIPC_TRANSFERS` says otherwise (a million, say).
fn transfers() -> u64 {
    let usual = if cfg!(debug_assertions) { 20_000 } else { 100_000 };
    std::env::var("ZEROIPC_TRANSFERS").ok().and_then(|count| count.parse().ok()).unwrap_or(usual)
}

/// How often each sender may try.
fn attempts() -> u64 {
    8 * transfers() / SENDERS
}

type Item = [u64; 4];

fn item(id: u64) -> Item {
    [id, mix(id), mix(id + 1), mix(id + 2)]
}

#[test]
fn four_and_four() {
    if let Some(part) = part() {
        return play(&part);
    }
    let scratch = Scratch::new();
    let size = (2 * 4 * SENDERS * attempts() + (1 << 20)) as usize;
    let memory = Memory::create(scratch.name(), size).unwrap();
    // Fewer places than parties, so that they also wait for those.
    let channel = Channel::<Item>::create_with_places(&memory, "channel", 3).unwrap();
    let total = (SENDERS * attempts()) as usize;
    let sent = Array::<u32>::create(&memory, "sent", total).unwrap();
    let received = Array::<u32>::create(&memory, "received", total).unwrap();
    let start = |role, number| Party::start("four_and_four", role, number, scratch.name());
    let mut receivers: Vec<_> = (0..RECEIVERS).map(|number| start("receiver", number)).collect();
    let mut senders: Vec<_> = (0..SENDERS).map(|number| start("sender", number)).collect();
    senders.iter_mut().for_each(|sender| sender.finish(LIMIT));
    assert!(channel.close());
    receivers.iter_mut().for_each(|receiver| receiver.finish(LIMIT));

    let mut met = 0;
    for id in 0..total {
        let (sent, received) = (sent.load(id).unwrap(), received.load(id).unwrap());
        assert_eq!(sent, received, "item {id}: confirmed {sent} times, received {received} times");
        assert!(sent <= 1);
        met += u64::from(sent);
    }
    assert_eq!(met, transfers() / SENDERS * SENDERS);
    assert_eq!(channel.try_send(item(0)), Err(TrySendError::Closed(item(0))));
}

fn play(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let channel = Channel::<Item>::open(&memory, "channel").unwrap();
    let mut random = Random::new(part.number + 100 * u64::from(part.role == "sender"));
    if part.role == "sender" {
        let sent = Array::<u32>::open(&memory, "sent").unwrap();
        let mut left = transfers() / SENDERS;
        for attempt in 0..attempts() {
            if left == 0 {
                break;
            }
            let id = part.number * attempts() + attempt;
            if send(&channel, id, &mut random, attempts() - attempt <= left) {
                sent.fetch_add(id as usize, 1).unwrap();
                left -= 1;
            }
        }
        assert_eq!(left, 0, "too many timed out");
        return;
    }
    let received = Array::<u32>::open(&memory, "received").unwrap();
    loop {
        let got = if random.one_in(8) {
            match channel.try_recv() {
                Err(TryRecvError::Empty) => continue,
                Err(TryRecvError::Closed) => break,
                got => got.unwrap(),
            }
        } else {
            match channel.recv_timeout(timeout(&mut random)) {
                Err(RecvError::Timeout) => continue,
                Err(RecvError::Closed) => break,
                got => got.unwrap(),
            }
        };
        assert_eq!(got, item(got[0]), "torn");
        received.fetch_add(got[0] as usize, 1).unwrap();
    }
}

/// Some too short for anybody to come, some so long that somebody does.
fn timeout(random: &mut Random) -> Duration {
    let most = random.pick(&[1, 20, 200, 2000]);
    Duration::from_micros(random.below(most))
}

/// Whether it was received.
fn send(channel: &Channel<'_, Item>, id: u64, random: &mut Random, at_last: bool) -> bool {
    if at_last {
        channel.send(item(id)).unwrap();
        return true;
    }
    if random.one_in(4) {
        match channel.try_send(item(id)) {
            Ok(()) => true,
            Err(TrySendError::Full(back) | TrySendError::Blocked(back)) => {
                assert_eq!(back, item(id));
                false
            }
            Err(error) => panic!("{error}"),
        }
    } else {
        match channel.send_timeout(item(id), timeout(random)) {
            Ok(()) => true,
            Err(SendError::Timeout(back)) => {
                assert_eq!(back, item(id));
                false
            }
            Err(error) => panic!("{error}"),
        }
    }
}
