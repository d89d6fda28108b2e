//! The real program.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The program, in this folder.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ahoy-server"));
    command.current_dir(folder).env_remove("AHOY_SERVER_CONFIG").stdin(Stdio::null());
    command
}

/// A server on a free port, with the address that it said it listens on.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: String,
}

impl Program {
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[("AHOY_SERVER__HTTP__LISTEN", "127.0.0.1:0")])
    }

    /// The same with environment variables, one of which says where it listens.
    pub(crate) fn start_with(folder: &Path, environment: &[(&str, &str)]) -> Self {
        let mut child = command(folder)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped"))
            .read_line(&mut line)
            .expect("it says something");
        let address = line.split("http://").nth(1).and_then(|rest| rest.split(' ').next());
        let address = address.unwrap_or_else(|| panic!("it said {line:?}")).to_owned();
        Self { child, address }
    }

    pub(crate) fn request(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("the program runs");
        stream.write_all(text.as_bytes()).expect("the program runs");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the program runs");
        answer
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the program runs");
    }

    /// Waits until it ends by itself: whether it says that all went well, what it logged, and how long it took.
    pub(crate) fn end(mut self) -> (bool, String, Duration) {
        let begun = Instant::now();
        let mut log = String::new();
        self.child
            .stderr
            .take()
            .expect("the program runs")
            .read_to_string(&mut log)
            .expect("the program runs");
        let status = self.child.wait().expect("the program runs");
        (status.success(), log, begun.elapsed())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
