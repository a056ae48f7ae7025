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

/// How many values go over in a round.
const TRANSFERS: u64 = if cfg!(debug_assertions) { 8_000 } else { 40_000 };
/// How often each sender may try.
const ATTEMPTS: u64 = 8 * TRANSFERS / SENDERS;

/// One round; as many as it takes for the transfers that `ZEROIPC_TRANSFERS` asks for (a million, say).
fn rounds() -> u64 {
    let transfers = std::env::var("ZEROIPC_TRANSFERS").ok().and_then(|count| count.parse().ok());
    transfers.map_or(1, |transfers: u64| transfers.div_ceil(TRANSFERS).max(1))
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
    (0..rounds()).for_each(round);
}

fn round(round: u64) {
    let scratch = Scratch::new();
    let size = (2 * 4 * SENDERS * ATTEMPTS + (1 << 20)) as usize;
    let memory = Memory::create(scratch.name(), size).unwrap();
    // Fewer places than parties, so that they also wait for those.
    let channel = Channel::<Item>::create_with_places(&memory, "channel", 3).unwrap();
    let total = (SENDERS * ATTEMPTS) as usize;
    let sent = Array::<u32>::create(&memory, "sent", total).unwrap();
    let received = Array::<u32>::create(&memory, "received", total).unwrap();
    let start = |role, number| {
        // Also where the random numbers begin.
        Party::start("four_and_four", role, round * SENDERS + number, scratch.name())
    };
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
    assert_eq!(met, TRANSFERS / SENDERS * SENDERS);
    assert_eq!(channel.try_send(item(0)), Err(TrySendError::Closed(item(0))));
}

fn play(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let channel = Channel::<Item>::open(&memory, "channel").unwrap();
    let mut random = Random::new(part.number + 1_000_000 * u64::from(part.role == "sender"));
    if part.role == "sender" {
        let sent = Array::<u32>::open(&memory, "sent").unwrap();
        let mut left = TRANSFERS / SENDERS;
        for attempt in 0..ATTEMPTS {
            if left == 0 {
                break;
            }
            let id = part.number % SENDERS * ATTEMPTS + attempt;
            if send(&channel, id, &mut random, ATTEMPTS - attempt <= left) {
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
