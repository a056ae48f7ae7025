//! Circuit breaker: when a service does not answer, all clients, in all processes, stop asking for a while, and one of them
//! tries whether it is back.
//!
//! `cargo run --example circuit_breaker` shows it. In terminals of your own: `circuit_breaker client /quotes 1`, as often as you
//! like, and `circuit_breaker server /quotes`, which you start late, or stop and start again.

mod roles;

use roles::{Outcome, Part, Play};
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use zeroipc::{CallError, Memory, Service, Signal};

/// So many failures in a row open the circuit, for so many milliseconds.
const FAILURES: u64 = 3;
const PAUSE: u64 = 300;

/// What all clients know together: failures in a row, and until when nobody asks. Changed without a lock, so nobody's death counts.
type Circuit<'a> = Signal<'a, [u64; 2]>;

fn now() -> Outcome<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64)
}

/// Whether this client may ask now. Of those that come when the pause is over, one may: it makes the next pause for the others.
fn may_ask(circuit: &Circuit<'_>) -> Outcome<bool> {
    let now = now()?;
    let is_open = |[failures, until]: [u64; 2]| failures >= FAILURES && now < until;
    let ask = |state: [u64; 2]| if is_open(state) { state } else { [state[0], now + PAUSE] };
    let (before, _) = circuit.update(ask)?;
    Ok(!is_open(before))
}

/// How it went. Returns whether that opened or closed the circuit.
fn report(circuit: &Circuit<'_>, well: bool) -> Outcome<bool> {
    let now = now()?;
    let (before, after) =
        circuit.update(|[failures, _]| if well { [0, 0] } else { [failures + 1, now + PAUSE] })?;
    Ok((before[0] >= FAILURES) != (after[0] >= FAILURES))
}

fn client(memory: &Memory, me: u32) -> Outcome {
    let quotes = Service::<u32, u32>::open_or_create(memory, "quotes", 8)?.client();
    let circuit = Circuit::open_or_create(memory, "circuit", [0, 0])?;
    let (mut answers, mut failures, mut refusals) = (0, 0, 0);
    while answers < 30 {
        if may_ask(&circuit)? {
            let answer = quotes.call_timeout(answers, Duration::from_millis(40));
            if report(&circuit, answer.is_ok())? {
                let what =
                    if answer.is_ok() { "closed: it is back" } else { "open: all stop asking" };
                println!("client {me}: the circuit is {what}");
            }
            match answer {
                Ok(_) => answers += 1,
                Err(CallError::Timeout | CallError::Broken) => failures += 1,
                Err(error) => return Err(error.into()),
            }
        } else {
            refusals += 1; // At once, and at no cost to anybody: here is the place for an answer of yesterday.
        }
        sleep(Duration::from_millis(5));
    }
    println!("client {me}: {answers} answers, {failures} in vain, {refusals} not asked");
    Ok(())
}

fn server(memory: &Memory) -> Outcome {
    println!("server: here");
    Ok(Service::<u32, u32>::open_or_create(memory, "quotes", 8)?.server().serve(|n| n * n)?)
}

fn main() -> Outcome {
    if let Some(Part { role, number, memory }) = Part::of_this_process()? {
        return match role.as_str() {
            "client" => client(&memory, number),
            "server" => server(&memory),
            role => Err(format!("client or server, not {role}").into()),
        };
    }
    let play = Play::begin()?;
    let deaths = roles::Deaths::of(&play.memory)?;
    let first = play.start("server", 1)?;
    let clients = [play.start("client", 2)?, play.start("client", 3)?];
    sleep(Duration::from_millis(60));
    first.kill(&deaths)?;
    println!("the server is killed");
    sleep(Duration::from_millis(600));
    let second = play.start("server", 4)?;
    clients.into_iter().try_for_each(|client| client.finish())?;
    Service::<u32, u32>::open(&play.memory, "quotes")?.close();
    second.finish()
}
