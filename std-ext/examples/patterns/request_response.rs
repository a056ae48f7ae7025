//! Request and response: clients call, whichever server is free answers, and the calls of a dead server fail at once.
//!
//! `cargo run --example request_response` shows it in four processes. In terminals of your own:
//! `request_response server /roots 1` and, as often as you like, `request_response client /roots 5`.

mod roles;

use roles::{Deaths, Outcome, Part, Play, PATIENCE};
use std::thread::sleep;
use std::time::Duration;
use zeroipc::{CallError, Memory, Region, Service};

/// Eight calls at a time.
fn roots(region: Region<'_>) -> Outcome<Service<'_, f64, f64>> {
    Ok(Service::open_or_create(region, "roots", 8)?)
}

fn server(memory: &Memory, me: u32) -> Outcome {
    let deaths = Deaths::of(memory)?;
    let roots = roots(deaths.region(memory, me)?)?;
    roots.server().try_serve(|number: f64| match number {
        0.0.. => Ok(number.sqrt()),
        _ => Err(format!("{number} has no root")),
    })?;
    println!("server {me}: the service is closed");
    Ok(())
}

/// A server that takes a request and never answers it.
fn stuck(memory: &Memory, me: u32) -> Outcome {
    let deaths = Deaths::of(memory)?;
    let server = roots(deaths.region(memory, me)?)?.server();
    let request = server.next_timeout(PATIENCE)?;
    println!("server {me}: has {} in hand, and hangs", request.get());
    loop {
        sleep(PATIENCE);
    }
}

fn client(memory: &Memory, me: u32) -> Outcome {
    let deaths = Deaths::of(memory)?;
    let client = roots(deaths.region(memory, me)?)?.client();
    for number in [2.0, 81.0, -1.0] {
        // The death of a server is no answer to the question: another may have one.
        let answer = loop {
            match client.call_timeout(number, PATIENCE) {
                Err(CallError::Broken) => println!("client {me}: the server died; asking again"),
                answer => break answer,
            }
        };
        match answer {
            Ok(root) => println!("client {me}: the root of {number} is {root:.3}"),
            Err(CallError::Failed(text)) => println!("client {me}: {text}"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn main() -> Outcome {
    if let Some(Part { role, number, memory }) = Part::of_this_process()? {
        return match role.as_str() {
            "server" => server(&memory, number),
            "stuck" => stuck(&memory, number),
            "client" => client(&memory, number),
            role => Err(format!("server, stuck or client, not {role}").into()),
        };
    }
    let play = Play::begin()?;
    let deaths = Deaths::of(&play.memory)?;
    let service = roots(deaths.region(&play.memory, 10)?)?;
    let stuck = play.start("stuck", 1)?;
    let mut clients = vec![play.start("client", 5)?];
    while service.in_use() == 0 {
        sleep(Duration::from_millis(1));
    }
    sleep(Duration::from_millis(50));
    stuck.kill(&deaths)?;
    let server = play.start("server", 2)?;
    clients.push(play.start("client", 6)?);
    clients.into_iter().try_for_each(|client| client.finish())?;
    service.close();
    server.finish()
}
