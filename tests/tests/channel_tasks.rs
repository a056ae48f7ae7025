//! Tasks and threads of four processes at a channel without a buffer, with tasks that are dropped in any moment: nothing is lost,
//! doubled, torn, or confirmed without having been received.

use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use zeroipc::{
    select_timeout, Array, Channel, Memory, RecvError, Selectable, SendError, TryRecvError,
    TrySendError,
};
use zeroipc_tests::processes::{part, watchdog, Part, Party};
use zeroipc_tests::random::{mix, Random};
use zeroipc_tests::scratch::Scratch;

const LIMIT: Duration = Duration::from_secs(100);

/// How many values each sender has to bring over.
const TRANSFERS: u64 = if cfg!(debug_assertions) { 500 } else { 2500 };
/// How often it may try.
const ATTEMPTS: u64 = 16 * TRANSFERS;

/// In each of the two processes of a side.
const TASKS: u64 = 4;
const THREADS: u64 = 2;
const SENDERS: u64 = TASKS + THREADS;

type Item = [u64; 4];

fn item(id: u64) -> Item {
    [id, mix(id), mix(id + 1), mix(id + 2)]
}

fn workers() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// What is known of each value, by its number: how often it was confirmed, dropped while it was pending, and received.
#[derive(Clone, Copy)]
struct Books {
    channel: Channel<'static, Item>,
    sent: Array<'static, u32>,
    dropped: Array<'static, u32>,
    received: Array<'static, u32>,
}

impl Books {
    fn create(memory: &'static Memory) -> Self {
        // Fewer places than tasks, so that they also wait for those.
        Channel::<Item>::create_with_places(memory, "channel", 3).unwrap();
        for name in ["sent", "dropped", "received"] {
            Array::<u32>::create(memory, name, (SENDERS * ATTEMPTS) as usize).unwrap();
        }
        Self::open(memory)
    }

    fn open(memory: &'static Memory) -> Self {
        let array = |name| Array::open(memory, name).unwrap();
        let channel = Channel::open(memory, "channel").unwrap();
        let (sent, dropped, received) = (array("sent"), array("dropped"), array("received"));
        Books { channel, sent, dropped, received }
    }

    fn receive(&self, got: Item) {
        assert_eq!(got, item(got[0]), "torn");
        self.received.fetch_add(got[0] as usize, 1).unwrap();
    }

    fn check(&self) -> u64 {
        let mut taken_in_passing = 0;
        for id in 0..(SENDERS * ATTEMPTS) as usize {
            let count = |array: Array<'_, u32>| array.load(id).unwrap();
            let (sent, dropped, received) =
                (count(self.sent), count(self.dropped), count(self.received));
            assert!(sent + dropped <= 1 && received <= 1, "{id}: {sent} {dropped} {received}");
            assert!(sent <= received, "{id} was confirmed, and not received");
            assert!(
                received <= sent + dropped,
                "{id} was received, and its sender told it was not"
            );
            taken_in_passing += u64::from(dropped.min(received));
        }
        taken_in_passing
    }
}

fn memory(open: impl FnOnce() -> Memory) -> &'static Memory {
    Box::leak(Box::new(open()))
}

#[test]
fn tasks_and_threads_of_four_processes() {
    if let Some(part) = part() {
        return play(&part);
    }
    let scratch = Scratch::new();
    let size = (3 * 4 * SENDERS * ATTEMPTS + (1 << 20)) as usize;
    let memory = memory(|| Memory::create(scratch.name(), size).unwrap());
    let books = Books::create(memory);
    let test = "tasks_and_threads_of_four_processes";
    let start = |role: &str, number| Party::start(test, role, number, scratch.name());
    let mut receivers = [start("tasks receive", 0), start("threads receive", 1)];
    let mut senders = [start("tasks send", 0), start("threads send", TASKS)];
    senders.iter_mut().for_each(|sender| sender.finish(LIMIT));
    assert!(books.channel.close());
    receivers.iter_mut().for_each(|receiver| receiver.finish(LIMIT));
    let taken = books.check();
    eprintln!("{taken} were taken while their task was being dropped, or was asleep");
}

fn play(part: &Part) {
    let books = Books::open(memory(|| Memory::open(&part.region).unwrap()));
    match part.role.as_str() {
        "tasks send" => workers().block_on(async {
            let tasks: Vec<_> =
                (0..TASKS).map(|number| tokio::spawn(send_in_task(books, number))).collect();
            for task in tasks {
                task.await.unwrap();
            }
        }),
        "tasks receive" => workers().block_on(async {
            let tasks: Vec<_> =
                (0..TASKS).map(|number| tokio::spawn(receive_in_task(books, number))).collect();
            for task in tasks {
                task.await.unwrap();
            }
        }),
        "threads send" => std::thread::scope(|scope| {
            for number in part.number..part.number + THREADS {
                scope.spawn(move || send_in_thread(books, number));
            }
        }),
        _ => std::thread::scope(|scope| {
            for number in 0..THREADS {
                scope.spawn(move || receive_in_thread(books, number));
            }
        }),
    }
}

/// Some too short for anybody to come, some so long that somebody does.
fn pause(random: &mut Random) -> Duration {
    let most = random.pick(&[1, 20, 200, 2000]);
    Duration::from_micros(random.below(most))
}

/// The numbers of a sender's values, until enough were confirmed; and whether one must be.
fn attempts(number: u64, left: &Mutex<u64>) -> impl Iterator<Item = (u64, bool)> + '_ {
    (0..ATTEMPTS).map_while(move |attempt| {
        let left = *left.lock().unwrap();
        (left > 0).then_some((number * ATTEMPTS + attempt, ATTEMPTS - attempt <= left))
    })
}

async fn send_in_task(books: Books, number: u64) {
    let (mut random, left) = (Random::new(number), Mutex::new(TRANSFERS));
    for (id, at_last) in attempts(number, &left) {
        let mut send = books.channel.send_async(item(id));
        let sent = if at_last || random.one_in(3) {
            Some(send.await)
        } else if random.one_in(3) {
            tokio::select! {
                sent = send => Some(sent),
                () = tokio::task::yield_now() => None,
            }
        } else if random.one_in(2) {
            match tokio::time::timeout(pause(&mut random), &mut send).await {
                Ok(sent) => Some(sent),
                Err(_) => match send.withdraw() {
                    Ok(()) => Some(Ok(())),
                    // Not sent for certain: it is nowhere in the books.
                    Err(_) => continue,
                },
            }
        } else {
            tokio::time::timeout(pause(&mut random), send).await.ok()
        };
        match sent {
            Some(Ok(())) => {
                books.sent.fetch_add(id as usize, 1).unwrap();
                *left.lock().unwrap() -= 1;
            }
            Some(Err(error)) => panic!("{error}"),
            None => drop(books.dropped.fetch_add(id as usize, 1).unwrap()),
        }
    }
    assert_eq!(*left.lock().unwrap(), 0, "too many were dropped");
}

async fn receive_in_task(books: Books, number: u64) {
    let mut random = Random::new(100 + number);
    loop {
        let receive = books.channel.recv_async();
        let received = if random.one_in(3) {
            Some(receive.await)
        } else if random.one_in(3) {
            tokio::select! {
                received = receive => Some(received),
                () = tokio::task::yield_now() => None,
            }
        } else {
            tokio::time::timeout(pause(&mut random), receive).await.ok()
        };
        match received {
            Some(Ok(got)) => books.receive(got),
            Some(Err(RecvError::Closed)) => return,
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
    }
}

fn send_in_thread(books: Books, number: u64) {
    let (mut random, left) = (Random::new(200 + number), Mutex::new(TRANSFERS));
    let channel = books.channel;
    for (id, at_last) in attempts(number, &left) {
        let sent = if at_last {
            channel.send(item(id)).is_ok()
        } else if random.one_in(4) {
            match channel.try_send(item(id)) {
                Ok(()) => true,
                Err(TrySendError::Full(_) | TrySendError::Blocked(_)) => false,
                Err(error) => panic!("{error}"),
            }
        } else if random.one_in(3) {
            // Either way: what it offers is taken, or it takes what another offers.
            let (send, recv) = (channel.select_send(item(id)), channel.select_recv());
            let cases: [&dyn Selectable; 2] = [&send, &recv];
            match select_timeout(&cases, pause(&mut random)) {
                Ok(0) => send.result().unwrap().is_ok(),
                Ok(_) => {
                    books.receive(recv.result().unwrap().unwrap());
                    false
                }
                Err(_) => false,
            }
        } else {
            match channel.send_timeout(item(id), pause(&mut random)) {
                Ok(()) => true,
                Err(SendError::Timeout(_)) => false,
                Err(error) => panic!("{error}"),
            }
        };
        if sent {
            books.sent.fetch_add(id as usize, 1).unwrap();
            *left.lock().unwrap() -= 1;
        }
    }
    assert_eq!(*left.lock().unwrap(), 0, "too many timed out");
}

fn receive_in_thread(books: Books, number: u64) {
    let mut random = Random::new(300 + number);
    loop {
        let got = if random.one_in(8) {
            match books.channel.try_recv() {
                Err(TryRecvError::Empty) => continue,
                Err(TryRecvError::Closed) => return,
                got => got.unwrap(),
            }
        } else {
            match books.channel.recv_timeout(pause(&mut random)) {
                Err(RecvError::Timeout) => continue,
                Err(RecvError::Closed) => return,
                got => got.unwrap(),
            }
        };
        books.receive(got);
    }
}

/// From a thread there to a task here and from a task here to a thread there, by turns: every wake-up counts.
#[test]
fn a_task_and_a_thread_hand_over_by_turns() {
    const ROUNDS: u64 = 1000;
    let _watchdog = watchdog(LIMIT, "handing over");
    let channels = |memory| {
        ["there", "back"].map(|name| Channel::<u64>::open_or_create(memory, name, 0).unwrap())
    };
    if let Some(part) = part() {
        let [there, back] = channels(memory(|| Memory::open(&part.region).unwrap()));
        for round in 0..ROUNDS {
            assert_eq!(there.recv(), Ok(round));
            back.send(round).unwrap();
        }
        return;
    }
    let scratch = Scratch::new();
    let [there, back] = channels(memory(|| Memory::create(scratch.name(), 1 << 16).unwrap()));
    let test = "a_task_and_a_thread_hand_over_by_turns";
    let mut peer = Party::start(test, "echo", 0, scratch.name());
    let start = Instant::now();
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        for round in 0..ROUNDS {
            there.send_async(round).await.unwrap();
            assert_eq!(back.recv_async().await, Ok(round));
        }
    });
    eprintln!("{:?} a round trip", start.elapsed() / ROUNDS as u32);
    peer.finish(LIMIT);
}

/// A hundred tasks of one process on each side meet at three places, and a close ends the rest.
#[test]
fn many_tasks_meet_at_few_places() {
    const EACH: u64 = 50;
    let _watchdog = watchdog(LIMIT, "meeting");
    let memory = memory(|| Memory::anonymous(1 << 18).unwrap());
    let channel = Channel::<u64>::create_with_places(memory, "channel", 3).unwrap();
    workers().block_on(async {
        let senders: Vec<_> = (0..100)
            .map(|sender| {
                tokio::spawn(async move {
                    for n in 0..EACH {
                        channel.send_async(sender * EACH + n).await.unwrap();
                    }
                })
            })
            .collect();
        let receivers: Vec<_> = (0..100)
            .map(|_| {
                tokio::spawn(async move {
                    let mut got = Vec::new();
                    loop {
                        match channel.recv_async().await {
                            Ok(n) => got.push(n),
                            Err(RecvError::Closed) => return got,
                            Err(error) => panic!("{error}"),
                        }
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.await.unwrap();
        }
        channel.close();
        let mut all = Vec::new();
        for receiver in receivers {
            all.extend(receiver.await.unwrap());
        }
        all.sort_unstable();
        assert!(all.into_iter().eq(0..100 * EACH));
    });
}
