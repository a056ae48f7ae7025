//! Machines without an operating system, in QEMU: built, started, reset, and gone with the test.

use rustix::process::{set_parent_process_death_signal, Signal};
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{stderr, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A firmware example, and the emulator that it runs in.
#[derive(Debug, Clone, Copy)]
pub struct Firmware {
    /// Its folder in `firmware/`.
    pub folder: &'static str,
    /// Its binary.
    pub binary: &'static str,
    /// The Rust targets that it can be built for, the best first.
    pub targets: &'static [&'static str],
    /// The emulator.
    pub emulator: &'static str,
}

/// Whether these tests must run: in CI what they need is there.
fn is_mandatory() -> bool {
    env::var_os("ZEROIPC_REQUIRE_QEMU").or(env::var_os("CI")).is_some_and(|value| !value.is_empty())
}

impl Firmware {
    /// Builds it; `None`, with a loud line, if the emulator or the Rust target is missing.
    ///
    /// # Panics
    /// If it does not build. If something is missing where these tests are mandatory.
    #[must_use]
    pub fn build(&self) -> Option<PathBuf> {
        if !on_path(self.emulator) {
            return self.missing(&format!("{} is not installed", self.emulator));
        }
        let Some(target) = self.targets.iter().copied().find(|target| is_installed(target)) else {
            return self
                .missing(&format!("none of the Rust targets {:?} is installed", self.targets));
        };
        let folder = root().join("firmware").join(self.folder);
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
        // What was set for the tests' own build is not for this one.
        for variable in
            ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET"]
        {
            cargo.env_remove(variable);
        }
        let built = cargo
            .current_dir(&folder)
            .args(["build", "--quiet", "--release", "--target", target])
            .status()
            .expect("cargo");
        assert!(built.success(), "{} does not build", self.folder);
        let binary = root().join("target/firmware").join(target).join("release").join(self.binary);
        assert!(binary.is_file(), "{} was not built", binary.display());
        Some(binary)
    }

    fn missing<T>(&self, what: &str) -> Option<T> {
        assert!(
            !is_mandatory(),
            "{}: {what}, and this test is mandatory here: run .ci/qemu",
            self.folder
        );
        // Past the test harness, which keeps what is printed by a test that passes.
        let _ =
            writeln!(stderr(), "SKIPPED: firmware/{}: {what}; .ci/qemu installs it", self.folder);
        None
    }
}

/// The project's folder.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

fn on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Whether there is a core library for it.
fn is_installed(target: &str) -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or("rustc".into());
    let asked = Command::new(rustc).args(["--print", "target-libdir", "--target", target]).output();
    asked.is_ok_and(|output| {
        let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some())
    })
}

/// QEMU's arguments for a board with two Cortex-M33 cores, whose PSRAM is the file `memory`.
#[must_use]
pub fn mps2_an521(memory: &Path) -> Vec<String> {
    let memory =
        format!("memory-backend-file,id=psram,size=16M,mem-path={},share=on", memory.display());
    ["-M", "mps2-an521,memory-backend=psram", "-m", "16M", "-object", &memory]
        .into_iter()
        .chain(["-semihosting-config", "enable=on,target=native"])
        .map(str::to_owned)
        .collect()
}

/// The inspector, built beside the tests.
#[derive(Debug)]
pub struct Inspector(PathBuf);

impl Inspector {
    /// Builds it, which can take long: do so before anything runs that does not live for ever.
    ///
    /// # Panics
    /// If it does not build.
    #[must_use]
    pub fn build() -> Self {
        // The test is `target/debug/deps/test`.
        let test = env::current_exe().expect("the path of the test binary");
        let profile = test.parent().and_then(Path::parent).expect("the profile's folder");
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo.current_dir(root()).args(["build", "--quiet", "-p", "zeroipc-inspect"]);
        cargo.arg("--target-dir").arg(profile.parent().expect("the target folder"));
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().expect("cargo").success(), "the inspector does not build");
        Inspector(profile.join("zeroipc-inspect"))
    }

    /// Runs it; returns what it prints.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn run(&self, arguments: &[&OsStr]) -> String {
        let output = Command::new(&self.0).args(arguments).output().expect("the inspector");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }
}

/// Where the answers of its monitor go.
fn monitor_of(console: &Path) -> PathBuf {
    console.with_extension("monitor")
}

/// A running machine. Killed when it is dropped, or when this thread ends.
#[derive(Debug)]
pub struct Machine {
    child: Child,
    monitor: ChildStdin,
    console: PathBuf,
}

impl Machine {
    /// Starts `emulator` with `arguments`, and a console that goes to the file `console`, in whose folder it runs.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(emulator: &str, arguments: &[String], console: PathBuf) -> Self {
        let mut command = Command::new(emulator);
        command.current_dir(console.parent().expect("a folder"));
        command.args(["-display", "none", "-monitor", "stdio", "-serial"]);
        command.arg(format!("file:{}", console.display())).args(arguments);
        let said = fs::File::create(monitor_of(&console)).expect("a file");
        command.stdin(Stdio::piped()).stdout(said);
        let die_with_us = || Ok(set_parent_process_death_signal(Some(Signal::KILL))?);
        // SAFETY: between fork and exec only a system call is made.
        unsafe { command.pre_exec(die_with_us) };
        let mut child = command.spawn().expect("the emulator");
        let monitor = child.stdin.take().expect("a pipe");
        Machine { child, monitor, console }
    }

    /// Presses the reset button.
    ///
    /// # Panics
    /// If the emulator is gone.
    pub fn reset(&mut self) {
        self.monitor.write_all(b"system_reset\n").expect("the monitor");
    }

    /// What it has printed.
    #[must_use]
    pub fn printed(&self) -> String {
        fs::read(&self.console).map_or(String::new(), |text| String::from_utf8_lossy(&text).into())
    }

    /// What it has printed, and where its cores are: for a test that fails.
    #[must_use]
    pub fn state(&mut self) -> String {
        let mut state = self.printed();
        let _ = self.monitor.write_all(b"info registers -a\n");
        sleep(Duration::from_millis(500));
        state += &fs::read(monitor_of(&self.console))
            .map_or(String::new(), |text| String::from_utf8_lossy(&text).into());
        state
    }

    /// How it ended, if it has.
    ///
    /// # Panics
    /// If the system does not tell.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of a child")
    }

    /// Waits for its end; returns its exit code.
    ///
    /// # Panics
    /// If it is still there after `limit`.
    pub fn finish(&mut self, limit: Duration) -> Option<i32> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended() {
                return status.code();
            }
            assert!(
                Instant::now() < deadline,
                "the machine does not end; it printed:\n{}",
                self.printed()
            );
            sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.console);
        let _ = fs::remove_file(monitor_of(&self.console));
    }
}
