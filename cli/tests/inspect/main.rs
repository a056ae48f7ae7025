//! Runs the inspector as a user would, each test with regions of its own.

mod demo;
mod dump;
mod generated;
mod list;
mod monitor;
mod sandbox;
mod show;

use sandbox::{inspect, Region};

#[test]
fn usage_errors_are_2_and_in_our_form() {
    for arguments in [&["--nonsense"][..], &["show"], &["dump", "x", "--size", "1G"], &["bogus"]] {
        let run = inspect(arguments);
        assert_eq!(run.code, 2, "{arguments:?}: {run:?}");
        assert!(run.errors.starts_with("zeroipc-inspect: "), "{run:?}");
        assert_eq!(run.output, "", "{arguments:?}");
    }
    let run = inspect(&[]);
    assert_eq!(run.code, 2);
    assert!(run.errors.contains("Usage:"), "{run:?}");
}

#[test]
fn help_and_version_are_0() {
    for arguments in [&["--help"][..], &["--version"], &["help", "show"], &["list", "--help"]] {
        let run = inspect(arguments);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(!run.output.is_empty() && run.errors.is_empty(), "{run:?}");
    }
    assert!(!inspect(&["--help"]).output.contains("demo-sampler"));
}

#[test]
fn a_closed_pipe_is_success() {
    let region = Region::new(1 << 20);
    let region = region.name();
    for arguments in [
        &["dump", region, "--size", "1M", "-v"][..],
        &["dump", region, "--size", "1M", "--json"],
        &["show", region],
        &["list"],
        &["man"],
        &["completions", "zsh"],
        &["--help"],
    ] {
        let run = sandbox::inspect_into_closed_pipe(arguments);
        assert_eq!((run.code, run.errors.as_str()), (0, ""), "{arguments:?}");
    }
}
