//! Select over sixteen channels across processes: each gets its share, nothing is lost, and waiting takes no processor time.

use rustix::time::{clock_gettime, ClockId};
use std::time::{Duration, Instant};
use zeroipc::{select_timeout, Channel, Memory, RecvCase, RecvError, SelectError, Selectable};
use zeroipc_tests::processes::{part, Part, Party};
use zeroipc_tests::scratch::Scratch;

const LIMIT: Duration = Duration::from_secs(100);
const CHANNELS: usize = 16;
const SENDERS: u64 = 4;

/// How many values each channel's sender has, at most.
fn values() -> u64 {
    if cfg!(debug_assertions) {
        2000
    } else {
        20_000
    }
}

fn names() -> Vec<String> {
    (0..CHANNELS).map(|index| format!("channel{index}")).collect()
}

fn open(memory: &Memory) -> Vec<Channel<'_, u64>> {
    names().iter().map(|name| Channel::open(memory, name).unwrap()).collect()
}

fn all<'c, 'a>(cases: &'c [RecvCase<'a, u64>]) -> Vec<&'c dyn Selectable> {
    cases.iter().map(|case| case as &dyn Selectable).collect()
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// As many values as it takes until the first channel is through: the others must be nearly through too.
#[test]
fn each_channel_gets_its_share() {
    if let Some(part) = part() {
        return fill(&part);
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 20).unwrap();
    for name in names() {
        Channel::<u64>::create(&memory, &name, 64).unwrap();
    }
    let channels = open(&memory);
    let mut senders: Vec<_> = (0..SENDERS)
        .map(|number| Party::start("each_channel_gets_its_share", "fill", number, scratch.name()))
        .collect();
    // Only while all have something is there a share.
    while channels.iter().any(|channel| channel.len() < 32) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let cases: Vec<_> = channels.iter().map(Channel::select_recv).collect();
    let (mut counts, mut shares, mut fair) = ([0_u64; CHANNELS], [0_u64; CHANNELS], 0_u64);
    let mut closed = 0;
    while closed < CHANNELS {
        let open: Vec<_> = (0..CHANNELS).filter(|index| counts[*index] <= values()).collect();
        let some: Vec<_> = open.iter().map(|index| &cases[*index] as &dyn Selectable).collect();
        let all_ready = open.len() == CHANNELS && channels.iter().all(|one| !one.is_empty());
        let index = open[select_timeout(&some, LIMIT).unwrap()];
        match cases[index].result().unwrap() {
            Ok(value) => {
                assert_eq!(value, counts[index], "in order");
                counts[index] += 1;
                if all_ready {
                    shares[index] += 1;
                    fair += 1;
                }
            }
            Err(error) => {
                assert_eq!((error, counts[index]), (RecvError::Closed, values()));
                counts[index] += 1; // done
                closed += 1;
            }
        }
    }
    senders.iter_mut().for_each(|sender| sender.finish(LIMIT));
    let share = fair / CHANNELS as u64;
    if share >= 500 {
        let about = share * 8 / 10..=share * 12 / 10;
        assert!(shares.iter().all(|count| about.contains(count)), "{shares:?}");
    }
}

/// Each process fills every fourth channel, as fast as there is room, also by select.
fn fill(part: &Part) {
    let memory = Memory::open(&part.region).unwrap();
    let channels: Vec<_> =
        open(&memory).into_iter().skip(part.number as usize).step_by(SENDERS as usize).collect();
    let mut next = vec![0_u64; channels.len()];
    loop {
        let left: Vec<_> = (0..channels.len()).filter(|at| next[*at] < values()).collect();
        if left.is_empty() {
            break;
        }
        let cases: Vec<_> = left.iter().map(|at| channels[*at].select_send(next[*at])).collect();
        let cases_of: Vec<_> = cases.iter().map(|case| case as &dyn Selectable).collect();
        let at = select_timeout(&cases_of, LIMIT).unwrap();
        assert_eq!(cases[at].result(), Some(Ok(())));
        next[left[at]] += 1;
    }
    channels.iter().for_each(|channel| assert!(channel.close()));
}

/// Rendezvous and buffers together, each woken from another process, by one sleep.
#[test]
fn a_sleeper_is_woken_by_each() {
    const ROUNDS: u64 = 160;
    const TEST: &str = "a_sleeper_is_woken_by_each";
    if let Some(part) = part() {
        let memory = Memory::open(&part.region).unwrap();
        let channels = open(&memory);
        for round in 0..ROUNDS {
            if round % 4 == 0 {
                std::thread::sleep(Duration::from_millis(2));
            }
            channels[(round * 5) as usize % CHANNELS].send_timeout(round, LIMIT).unwrap();
        }
        return;
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 20).unwrap();
    for (index, name) in names().iter().enumerate() {
        Channel::<u64>::create(&memory, name, index % 2 * 4).unwrap();
    }
    let channels = open(&memory);
    let mut sender = Party::start(TEST, "send", 0, scratch.name());
    let cases: Vec<_> = channels.iter().map(Channel::select_recv).collect();
    let mut seen = vec![false; ROUNDS as usize];
    for _ in 0..ROUNDS {
        let index = select_timeout(&all(&cases), LIMIT).unwrap();
        let value = cases[index].result().unwrap().unwrap();
        assert_eq!(index, (value * 5) as usize % CHANNELS);
        assert!(!std::mem::replace(&mut seen[value as usize], true), "{value} came twice");
    }
    sender.finish(LIMIT);
    let none = select_timeout(&all(&cases), Duration::from_millis(20));
    assert_eq!(none, Err(SelectError::Timeout));
}

#[test]
fn waiting_takes_no_processor_time() {
    const WAIT: Duration = Duration::from_secs(5);
    const TEST: &str = "waiting_takes_no_processor_time";
    if let Some(part) = part() {
        let memory = Memory::open(&part.region).unwrap();
        let channels = open(&memory);
        let cases: Vec<_> = channels.iter().map(Channel::select_recv).collect();
        let (start, before) = (Instant::now(), processor_time());
        assert_eq!(select_timeout(&all(&cases), WAIT), Err(SelectError::Timeout));
        let (passed, used) = (start.elapsed(), processor_time() - before);
        assert!(passed >= WAIT);
        assert!(used < WAIT / 100, "used {used:?} of the processor in {passed:?}");
        return;
    }
    let scratch = Scratch::new();
    let memory = Memory::create(scratch.name(), 1 << 20).unwrap();
    for (index, name) in names().iter().enumerate() {
        Channel::<u64>::create(&memory, name, index % 2 * 4).unwrap();
    }
    Party::start(TEST, "wait", 0, scratch.name()).finish(LIMIT);
}
