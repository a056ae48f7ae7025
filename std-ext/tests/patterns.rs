//! The patterns of docs/patterns.md: each runs with its processes and shows what it shall show; each is short; and what the document
//! quotes is what runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};
use zeroipc::{Error, Memory};

const PATTERNS: [&str; 10] = [
    "producer_consumer",
    "pub_sub",
    "request_response",
    "pipeline",
    "fork_join",
    "worker_pool",
    "actor_mailbox",
    "csp_select",
    "event_sourcing",
    "circuit_breaker",
];

/// Runs a pattern with nothing on its command line; returns what it prints.
fn run(pattern: &str) -> String {
    // Cargo builds examples with the tests and puts them beside them.
    let tests = std::env::current_exe().unwrap();
    let folder: PathBuf = tests.ancestors().nth(2).unwrap().join("examples");
    let mut child = Command::new(folder.join(pattern))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect(
            "examples, built by `cargo test -p zeroipc` or `cargo build -p zeroipc --examples`",
        );
    let id = child.id();
    let deadline = Instant::now() + Duration::from_secs(90);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            // It takes the processes that it started with it.
            child.kill().unwrap();
        }
        thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{pattern}: {output:?}");
    let region = format!("/{pattern}-{id}");
    assert_eq!(Memory::open(&region).unwrap_err(), Error::NotFound, "{region} was left behind");
    String::from_utf8(output.stdout).unwrap()
}

/// The numbers in the one line that contains `text`, in their order.
fn numbers(output: &str, text: &str) -> Vec<i64> {
    let lines: Vec<_> = output.lines().filter(|line| line.contains(text)).collect();
    assert_eq!(lines.len(), 1, "one line with {text:?} in:\n{output}");
    let digits = |c: char| !(c.is_ascii_digit() || c == '-');
    lines[0].split(digits).filter_map(|number| number.parse().ok()).collect()
}

fn count(output: &str, text: &str) -> usize {
    output.lines().filter(|line| line.contains(text)).count()
}

#[test]
fn producers_wait_for_a_slow_consumer() {
    let output = run("producer_consumer");
    for producer in ["producer 1:", "producer 2:"] {
        let [_, pushed, waited] = numbers(&output, producer)[..] else { panic!("{output}") };
        assert_eq!(pushed, 100);
        assert!((1..=101).contains(&waited), "backpressure:\n{output}");
    }
    let [taken, most] = numbers(&output, "consumer: took")[..] else { panic!("{output}") };
    assert_eq!(taken, 200);
    assert!((1..=8).contains(&most), "never more than fit:\n{output}");
}

#[test]
fn subscribers_take_all_or_know_what_they_missed() {
    let output = run("pub_sub");
    assert_eq!(numbers(&output, "publisher:"), [2000]);
    for subscriber in ["reader: took", "slow: took"] {
        let [taken, missed] = numbers(&output, subscriber)[..] else { panic!("{output}") };
        assert_eq!(taken + missed, 2000, "{output}");
    }
    assert!(numbers(&output, "slow: took")[1] > 0, "{output}");
    assert_eq!(numbers(&output, "late: took"), [64, 0], "the history that is kept");
}

#[test]
fn calls_outlive_a_server() {
    let output = run("request_response");
    assert_eq!(count(&output, "the server died; asking again"), 1, "{output}");
    for client in [5, 6] {
        for answer in ["the root of 2 is 1.414", "the root of 81 is 9.000", "-1 has no root"] {
            assert_eq!(count(&output, &format!("client {client}: {answer}")), 1, "{output}");
        }
    }
    assert_eq!(count(&output, "server 2: the service is closed"), 1, "{output}");
}

#[test]
fn a_stage_goes_on_where_its_predecessor_stopped() {
    let output = run("pipeline");
    let begun: Vec<i64> = output
        .lines()
        .filter_map(|line| line.strip_prefix("converter: begins with reading ")?.parse().ok())
        .collect();
    assert!(begun.len() == 2 && begun[0] == 0 && begun[1] >= 100, "{output}");
    assert!(count(&output, "converter: 400 readings") >= 1, "{output}");
    // The sensor goes up eight times; neither a lost nor a doubled reading would leave that.
    for alert in 1..=8 {
        assert_eq!(count(&output, &format!("alert {alert}: 150.8 °F")), 1, "{output}");
    }
    assert_eq!(count(&output, "alert"), 8, "{output}");
}

#[test]
fn the_part_of_a_dead_process_is_done_by_who_joins() {
    let output = run("fork_join");
    assert_eq!(count(&output, "part 4: its process died"), 1, "{output}");
    assert_eq!(numbers(&output, "joined"), [4, 65536, 65535 * 65536 / 2]);
}

#[test]
fn the_jobs_of_a_dead_worker_are_done_again() {
    let output = run("worker_pool");
    assert_eq!(count(&output, "worker 3 is killed"), 1, "{output}");
    assert_eq!(numbers(&output, "jobs done"), [40, 2262, 20000], "each job counts once");
}

#[test]
fn an_actor_goes_on_where_its_predecessor_stopped() {
    let output = run("actor_mailbox");
    for line in ["account 1: open, with 0", "account 1 is killed", "account 4: open"] {
        assert_eq!(count(&output, line), 1, "{output}");
    }
    let [found, all] = numbers(&output, "at most one message")[..] else { panic!("{output}") };
    assert_eq!(all, 2550);
    assert!((all - 50..=all).contains(&found), "at most one message is lost:\n{output}");
    assert_eq!(count(&output, "customer 2: the balance is"), 1, "{output}");
    assert_eq!(count(&output, "customer 3: the balance is"), 1, "{output}");
}

#[test]
fn a_process_between_channels() {
    let output = run("csp_select");
    assert_eq!(numbers(&output, "reader:"), [80, 2 * 39 * 40 / 2]);
    let most = numbers(&output, "buffer: held")[0];
    assert!((1..=5).contains(&most), "{output}");
}

#[test]
fn who_replays_the_log_finds_the_same() {
    let output = run("event_sourcing");
    let found: BTreeSet<_> =
        output.lines().filter(|line| line.starts_with("after 120 events")).collect();
    assert_eq!(count(&output, "after 120 events"), 2, "{output}");
    assert_eq!(found.len(), 1, "the same whenever it began:\n{output}");
    // Accounts and balances in turn. Of three tellers, 40 events each: five rounds of -2 to 4, and then -1 to 3.
    let all = numbers(found.first().unwrap(), "after 120 events");
    let sum: i64 = all[1..].chunks(2).map(|pair| pair[1]).sum();
    assert_eq!(sum, 3 * (5 * 7 + 5), "{output}");
}

#[test]
fn the_circuit_opens_and_closes_for_all() {
    let output = run("circuit_breaker");
    // Once; on a busy machine a call may be late without the server's death.
    let opened = count(&output, "the circuit is open");
    assert!(opened >= 1 && opened == count(&output, "the circuit is closed"), "{output}");
    let (mut failures, mut refusals) = (0, 0);
    for client in ["client 2: 30 answers", "client 3: 30 answers"] {
        let [_, _, failed, refused] = numbers(&output, client)[..] else { panic!("{output}") };
        (failures, refusals) = (failures + failed, refusals + refused);
    }
    assert!(failures >= 3 && refusals > 2 * failures, "most are spared the wait:\n{output}");
}

fn source(pattern: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/patterns");
    fs::read_to_string(folder.join(pattern).with_extension("rs")).unwrap()
}

#[test]
fn each_has_less_than_100_lines() {
    for pattern in PATTERNS {
        let lines = source(pattern).lines().count();
        assert!(lines < 100, "{pattern} has {lines} lines");
    }
}

/// Each block of Rust in the document stands under a link to the program that it is from, where the same lines stand.
#[test]
fn the_document_quotes_what_runs() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/patterns.md");
    let document = fs::read_to_string(file).unwrap();
    let mut quoted = BTreeSet::new();
    let mut program = None;
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if let Some((_, link)) = line.split_once("../std-ext/examples/patterns/") {
            program = link.split_once(".rs").map(|(name, _)| name);
        }
        if line != "```rust" {
            continue;
        }
        let quotation: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        let pattern = program.expect("a link to the program comes first");
        let source = source(pattern);
        let found = source.contains(&format!("{}\n", quotation.join("\n")));
        assert!(found, "{pattern}.rs does not contain\n{}", quotation.join("\n"));
        quoted.insert(pattern);
    }
    assert_eq!(quoted, BTreeSet::from(PATTERNS));
}
