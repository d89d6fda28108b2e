//! Network namespaces that are gone when the value is dropped, and what a process that was killed left of its own.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::{fs, thread};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// What all names begin with; the process id follows, so that leftovers can be told from what is in use.
const PREFIX: &str = "ahoy-";
/// Where `ip` keeps the namespaces that have names (ip-netns(8)).
const FOLDER: &str = "/run/netns";
/// Debian package of `ip`.
pub(crate) const IP_PACKAGE: &str = "iproute2";

/// Why something could not be done with a namespace.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// A program refused a command.
    #[error("`{command}` failed: {output}")]
    Refused {
        /// What was asked.
        command: String,
        /// What it said.
        output: String,
    },
    /// The operating system refused something.
    #[error("a network namespace could not be used: {0}")]
    Io(#[from] io::Error),
}

/// A network namespace of this process. Dropping it ends the programs inside and deletes it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a namespace whose name ends with `label`, which no other of this process has. Its loopback interface is up;
    /// IPv6 exists on interfaces that come later only if `ipv6` says so: the kernel's own IPv6 packets would be on the
    /// wire otherwise.
    ///
    /// # Errors
    /// [`NamespaceError`].
    pub fn make(label: &str, ipv6: bool) -> Result<Self, NamespaceError> {
        let name = format!("{PREFIX}{}-{label}", std::process::id());
        run("ip", &["netns", "add", &name], "")?;
        // From here on dropping deletes it.
        let namespace = Self { name };
        namespace.set("ipv6/conf/default/disable_ipv6", if ipv6 { "0" } else { "1" })?;
        namespace.ip("link set lo up\n")?;
        Ok(namespace)
    }

    /// The name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` on a thread inside. Sockets that it opens stay there.
    ///
    /// # Errors
    /// The namespace is gone.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        let path = Path::new(FOLDER).join(&self.name);
        // A thread that has moved cannot be used for anything else, so each call has its own.
        let inside = || {
            let namespace = File::open(&path)?;
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(work())
        };
        thread::scope(|scope| match scope.spawn(inside).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// A command that runs `program` inside.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Has `ip` carry out commands, one a line. Those that begin with `-6` are about IPv6 and come after the others.
    ///
    /// # Errors
    /// [`NamespaceError`].
    pub fn ip(&self, commands: &str) -> Result<(), NamespaceError> {
        // In the commands of a batch `ip` takes no options.
        let (mut any, mut v6) = (String::new(), String::new());
        for line in commands.lines() {
            match line.strip_prefix("-6 ") {
                Some(command) => v6.extend([command, "\n"]),
                None => any.extend([line, "\n"]),
            }
        }
        run("ip", &["-n", &self.name, "-batch", "-"], &any)?;
        if v6.is_empty() { Ok(()) } else { run("ip", &["-6", "-n", &self.name, "-batch", "-"], &v6) }
    }

    /// Has `nft` read rules.
    ///
    /// # Errors
    /// [`NamespaceError`].
    pub fn nft(&self, rules: &str) -> Result<(), NamespaceError> {
        run("ip", &["netns", "exec", &self.name, "nft", "-f", "-"], rules)
    }

    /// Sets a setting below `/proc/sys/net`. One that the kernel does not have, having no IPv6, is left out.
    ///
    /// # Errors
    /// The system refused.
    pub fn set(&self, setting: &str, value: &str) -> io::Result<()> {
        let path = Path::new("/proc/sys/net").join(setting);
        match self.run(|| fs::write(&path, value))? {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            written => written,
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = delete(&self.name) {
            tracing::warn!(%error, "a network namespace stays behind");
        }
    }
}

/// Deletes the namespaces, with the programs in them, of processes that are there no more, having had no time for it.
///
/// # Errors
/// One could not be deleted.
pub fn remove_leftovers() -> Result<(), NamespaceError> {
    let Ok(entries) = fs::read_dir(FOLDER) else { return Ok(()) };
    for entry in entries {
        let name = entry?.file_name();
        if let Some(name) = name.to_str().filter(|name| is_leftover(name)) {
            match delete(name) {
                // Somebody else who starts has been quicker.
                Err(_) if !Path::new(FOLDER).join(name).exists() => {}
                deleted => deleted?,
            }
        }
    }
    Ok(())
}

fn is_leftover(name: &str) -> bool {
    let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-'));
    let Some((process, _)) = process else { return false };
    process.parse::<u32>().is_ok_and(|process| !Path::new("/proc").join(process.to_string()).exists())
}

/// Nobody but whoever made a namespace of ours starts programs in it.
fn delete(name: &str) -> Result<(), NamespaceError> {
    let inside = output("ip", &["netns", "pids", name], "")?;
    for process in String::from_utf8_lossy(&inside.stdout).lines() {
        let process = process.trim().parse().ok().and_then(Pid::from_raw);
        if let Some(process) = process.filter(|process| *process != rustix::process::getpid()) {
            // It may have ended by itself since.
            let _ = kill_process(process, Signal::KILL);
        }
    }
    run("ip", &["netns", "delete", name], "")
}

fn run(program: &str, arguments: &[&str], input: &str) -> Result<(), NamespaceError> {
    let output = output(program, arguments, input)?;
    match output.status.success() {
        true => Ok(()),
        false => Err(NamespaceError::Refused {
            command: format!("{program} {}", arguments.join(" ")),
            output: format!("{} {input}", String::from_utf8_lossy(&output.stderr).trim()),
        }),
    }
}

fn output(program: &str, arguments: &[&str], input: &str) -> io::Result<Output> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends before it has read everything says why.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_namespaces_of_ours_whose_process_is_gone_are_leftovers() {
        let own = format!("{PREFIX}{}-0-a", std::process::id());
        assert!(!is_leftover(&own), "its process is there");
        // Process ids end below this (proc(5), pid_max).
        assert!(is_leftover("ahoy-4194305-0-a"));
        for name in ["ahoy-x-0", "ahoy-4194305", "other-4194305-a", "blue"] {
            assert!(!is_leftover(name), "{name}");
        }
    }

    mod needs_root {
        use super::*;

        #[test]
        fn what_a_killed_process_left_is_removed_by_the_next_one() {
            let (left, own) = ("ahoy-4194305-left", Namespace::make("stays", false).unwrap());
            run("ip", &["netns", "add", left], "").unwrap();
            remove_leftovers().unwrap();
            let exists = |name: &str| Path::new(FOLDER).join(name).exists();
            assert!(!exists(left) && exists(own.name()));
        }

        #[test]
        fn a_namespace_goes_with_the_programs_that_still_run_in_it() {
            let namespace = Namespace::make("leaves", false).unwrap();
            let path = Path::new(FOLDER).join(namespace.name());
            let mut program = namespace.command("sleep").arg("600").spawn().unwrap();
            // The shell's first line says that it has been moved inside.
            let mut inside = namespace.command("sh");
            inside.args(["-c", "echo in; exec sleep 600"]).stdout(Stdio::piped());
            let mut second = inside.spawn().unwrap();
            let mut said = [0; 3];
            io::Read::read_exact(second.stdout.as_mut().unwrap(), &mut said).unwrap();
            drop(namespace);
            assert!(!path.exists());
            assert!(!second.wait().unwrap().success());
            program.kill().unwrap();
            program.wait().unwrap();
        }
    }
}
