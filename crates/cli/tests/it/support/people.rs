//! People who use `ahoy-cli` against a server, each with a home of their own.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use ahoy_testkit::SignalingServer;
use serde_json::Value;
use tempfile::TempDir;

/// What everybody's password is.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A server whose passwords cost little, so that tests measure nothing but Ahoy.
pub(crate) fn server() -> SignalingServer {
    server_with(|_| {})
}

/// The same, changed a little.
pub(crate) fn server_with(
    change: impl FnOnce(&mut ahoy_testkit::signaling_server::Config),
) -> SignalingServer {
    let cheap = |config: &mut ahoy_testkit::signaling_server::Config| {
        (config.auth.argon2_memory_kib, config.auth.argon2_passes) = (64, 1);
        change(config);
    };
    SignalingServer::start_with(cheap).expect("the server starts")
}

/// A person with a home.
pub(crate) struct Person {
    home: TempDir,
    server: String,
    env: Vec<(&'static str, OsString)>,
    keyring: bool,
    /// How much their clock is ahead of the server's, in seconds.
    clock_ahead: i32,
}

impl Person {
    /// Somebody whose sign-in is kept in a file.
    pub(crate) fn new(server: &str) -> Self {
        let home = tempfile::tempdir().expect("the temporary folder takes a folder");
        Self { home, server: server.to_owned(), env: Vec::new(), keyring: false, clock_ahead: 0 }
    }

    /// Somebody whose sign-in is kept in the keyring that the environment leads to.
    pub(crate) fn with_keyring(server: &str, env: Vec<(&'static str, OsString)>) -> Self {
        Self { env, keyring: true, ..Self::new(server) }
    }

    /// Somebody whose clock is ahead of the server's by so many seconds, or behind.
    pub(crate) fn with_clock(server: &str, ahead: i32) -> Self {
        Self { clock_ahead: ahead, ..Self::new(server) }
    }

    /// A program that sees their clock. Only the time of day is another: time passes as for everybody.
    pub(crate) fn with_their_clock(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        if self.clock_ahead != 0 {
            // The loader puts the system's folder of libraries in for `$LIB`. The program `faketime` would do the same, but
            // stays in between, so that what is killed is not what was started.
            command.env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketimeMT.so.1");
            command.env("FAKETIME", format!("{:+}s", self.clock_ahead)).env("DONT_FAKE_MONOTONIC", "1");
        }
        command
    }

    /// Somebody who has signed up.
    pub(crate) fn signed_up(server: &SignalingServer, handle: &str, name: &str) -> Self {
        let person = Self::new(server.url());
        person.sign_up(handle, name).good();
        person
    }

    pub(crate) fn sign_up(&self, handle: &str, name: &str) -> Said {
        let arguments = ["sign-up", handle, "--name", name, "--server", &self.server, "--password-stdin"];
        self.typing(&arguments, &format!("{PASSWORD}\n"))
    }

    pub(crate) fn session_file(&self) -> PathBuf {
        self.home.path().join("session.json")
    }

    pub(crate) fn home(&self) -> &std::path::Path {
        self.home.path()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command_alone(arguments);
        if !self.keyring {
            command.arg("--session-file").arg(self.session_file());
        }
        command
    }

    /// A command that needs no sign-in.
    fn command_alone(&self, arguments: &[&str]) -> Command {
        let mut command = self.command_in_words(arguments);
        command.arg("--json");
        command
    }

    /// A command that answers in words, not in JSON.
    fn command_in_words(&self, arguments: &[&str]) -> Command {
        let mut command = self.with_their_clock(env!("CARGO_BIN_EXE_ahoy-cli"));
        command.arg("--no-log-file").args(arguments);
        for name in ["AHOY_SERVER", "AHOY_SESSION_FILE", "XDG_DATA_HOME", "DISPLAY"] {
            command.env_remove(name);
        }
        command.env("HOME", self.home.path()).env("XDG_RUNTIME_DIR", self.home.path());
        command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.typing(arguments, "")
    }

    /// Runs a command to its good end; returns what it says to people.
    pub(crate) fn words(&self, arguments: &[&str]) -> String {
        let mut command = self.command_in_words(arguments);
        command.arg("--session-file").arg(self.session_file());
        let said = said(command, "");
        assert_eq!(said.code, Some(0), "{}\n{}", said.stdout, said.stderr);
        said.stdout
    }

    /// Runs a command that needs no sign-in.
    pub(crate) fn alone(&self, arguments: &[&str]) -> Said {
        said(self.command_alone(arguments), "")
    }

    /// Runs a command to its end, with something on its standard input.
    pub(crate) fn typing(&self, arguments: &[&str], typed: &str) -> Said {
        said(self.command(arguments), typed)
    }

    /// Starts a command that stays.
    pub(crate) fn start(&self, arguments: &[&str]) -> Staying {
        let mut command = self.command(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("ahoy-cli can be started");
        let typed = child.stdin.take();
        let stdout = child.stdout.take().expect("standard output is piped");
        Staying { child, typed, lines: BufReader::new(stdout).lines(), seen: Vec::new() }
    }
}

fn said(mut command: Command, typed: &str) -> Said {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ahoy-cli can be started");
    let mut stdin = child.stdin.take().expect("standard input is piped");
    // A command that ends before it has read everything does not want it.
    let _ = stdin.write_all(typed.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("ahoy-cli ends");
    let said = Said {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    assert!(!said.stderr.contains("panicked"), "{}", said.stderr);
    said
}

/// What a command said before it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// Its lines of JSON, after it was checked that all went well.
    #[track_caller]
    pub(crate) fn good(&self) -> Vec<Value> {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self.stdout.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    }

    /// Its only line of JSON.
    #[track_caller]
    pub(crate) fn one(&self) -> Value {
        let mut lines = self.good();
        assert_eq!(lines.len(), 1, "{}", self.stdout);
        lines.remove(0)
    }

    /// Checks how it failed.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, sentence: &str) {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(sentence), "{sentence:?} is missing in: {}", self.stderr);
    }
}

/// A command that runs. It is ended with the value.
pub(crate) struct Staying {
    child: Child,
    typed: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    seen: Vec<Value>,
}

/// What a running program has of the system.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) threads: usize,
    pub(crate) files: usize,
    pub(crate) memory_kb: u64,
}

impl Staying {
    /// What it has of the system.
    #[cfg(target_os = "linux")]
    pub(crate) fn usage(&self) -> Usage {
        let of = |part: &str| format!("/proc/{}/{part}", self.child.id());
        let count = |part: &str| std::fs::read_dir(of(part)).expect("it runs").count();
        let status = std::fs::read_to_string(of("status")).expect("it runs");
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
        let memory_kb = memory.trim().trim_end_matches(" kB").parse().expect("a number");
        Usage { threads: count("task"), files: count("fd"), memory_kb }
    }

    /// Types a line.
    pub(crate) fn types(&mut self, line: &str) {
        let stdin = self.typed.as_mut().expect("standard input is piped");
        writeln!(stdin, "{line}").expect("it reads what is typed");
        stdin.flush().expect("it reads what is typed");
    }

    /// Waits for an event.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, mut fits: impl FnMut(&Value) -> bool) -> Value {
        loop {
            let Some(line) = self.lines.next() else {
                panic!("it ended without {what}: {:#?}", self.seen);
            };
            let event: Value =
                serde_json::from_str(&line.expect("it prints text")).expect("each line is JSON");
            self.seen.push(event.clone());
            if fits(&event) {
                return event;
            }
        }
    }

    /// The first event of a type among those that were seen.
    #[track_caller]
    pub(crate) fn seen_first(&self, kind: &str) -> Value {
        let found = self.seen.iter().find(|event| event["type"] == kind);
        found.unwrap_or_else(|| panic!("no {kind}: {:#?}", self.seen)).clone()
    }

    /// Waits for an event of this type.
    #[track_caller]
    pub(crate) fn until_type(&mut self, kind: &str) -> Value {
        self.until(kind, |event| event["type"] == kind)
    }

    /// Waits for a line of chat.
    #[track_caller]
    pub(crate) fn until_chat(&mut self, text: &str) -> Value {
        self.until(text, |event| event["type"] == "chat" && event["message"]["text"] == text)
    }

    /// Waits until it ends. Returns its exit code and everything that it told.
    pub(crate) fn end(mut self) -> (Option<i32>, Vec<Value>) {
        self.typed = None;
        let rest = self.lines.by_ref().map_while(Result::ok);
        self.seen.extend(rest.map(|line| serde_json::from_str(&line).expect("each line is JSON")));
        let status = self.child.wait().expect("it ends");
        (status.code(), std::mem::take(&mut self.seen))
    }
}

impl Drop for Staying {
    fn drop(&mut self) {
        // It has ended and been waited for unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
