//! Starting other programs.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, BufRead, BufReader, IsTerminal, PipeReader, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::{env, thread};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// A program to run in the root of the checkout, without input.
pub(crate) struct Program {
    command: Command,
    shown: Vec<String>,
}

/// The cargo that started us, with `args`.
pub(crate) fn cargo<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Program {
    // `cargo run` tells the started program about the xtask package. Build scripts and tests of the packages built from
    // here would see those as changed inputs, or as their own.
    let own = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    let mut program =
        Program::named("cargo", env::var_os("CARGO").unwrap_or_else(|| "cargo".into()).as_ref());
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(own) {
            program.command.env_remove(name);
        }
    }
    program.args(args)
}

/// `name`, looked up in `PATH`.
pub(crate) fn program(name: &str) -> Program {
    Program::named(name, name.as_ref())
}

/// A program that was built here.
pub(crate) fn built(path: &Path) -> Program {
    Program::named(&path.display().to_string(), path.as_os_str())
}

/// Whether `PATH` holds a program of this name.
pub(crate) fn exists(name: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(name).is_file()))
}

/// Whether we may do what only root may.
pub(crate) fn is_root() -> Result<bool> {
    Ok(program("id").args(["-u"]).read()?.trim() == "0")
}

impl Program {
    fn named(shown: &str, path: &OsStr) -> Self {
        let mut command = Command::new(path);
        command.current_dir(workspace::root()).stdin(Stdio::null());
        Self { command, shown: vec![shown.to_owned()] }
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        for arg in args {
            self.shown.push(arg.as_ref().to_string_lossy().into_owned());
            self.command.arg(arg);
        }
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn in_folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Lets the program ask questions: sudo for a password, the app for whatever it wants.
    pub(crate) fn with_input(mut self) -> Self {
        self.command.stdin(Stdio::inherit());
        self
    }

    /// Runs it with its output on ours.
    pub(crate) fn status(&mut self) -> Result<ExitStatus> {
        self.command.status().with_context(|| format!("{self} could not be started"))
    }

    /// Runs it with its output on our standard error, for programs whose output is not what was asked for.
    pub(crate) fn status_on_stderr(&mut self) -> Result<ExitStatus> {
        self.command.stdout(io::stderr());
        self.status()
    }

    /// Runs it with its output on our standard error; anything but success is an error.
    pub(crate) fn succeed(mut self) -> Result<()> {
        let status = self.status_on_stderr()?;
        if !status.success() {
            bail!("`{self}` failed ({status})");
        }
        Ok(())
    }

    /// Whether it succeeds; its output is thrown away.
    pub(crate) fn succeeds(mut self) -> bool {
        self.command.stdout(Stdio::null()).stderr(Stdio::null());
        self.command.status().is_ok_and(|status| status.success())
    }

    /// Its standard output.
    pub(crate) fn read(mut self) -> Result<String> {
        let output = self.command.output().with_context(|| format!("{self} could not be started"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`{self}` failed ({})\n{}", output.status, said.trim_end());
        }
        String::from_utf8(output.stdout)
            .with_context(|| format!("`{self}` printed something that is not text"))
    }

    /// Its standard output, however it ends; what it says on standard error is on ours.
    pub(crate) fn read_whatever_comes_of_it(mut self) -> Result<String> {
        self.command.stderr(Stdio::inherit());
        let output = self.command.output().with_context(|| format!("{self} could not be started"))?;
        String::from_utf8(output.stdout)
            .with_context(|| format!("`{self}` printed something that is not text"))
    }

    /// Runs it with its output on our standard error, and gives each line of that output to `on_line` as well.
    pub(crate) fn watch(mut self, mut on_line: impl FnMut(&str) + Send) -> Result<ExitStatus> {
        let (reader, writer) = io::pipe().context("no pipe could be made")?;
        self.command.stdout(writer.try_clone().context("no pipe could be shared")?).stderr(writer);
        if io::stderr().is_terminal() {
            self.command.env("CARGO_TERM_COLOR", "always").env("FORCE_COLOR", "1");
        }
        let mut child = self.command.spawn().with_context(|| format!("{self} could not be started"))?;
        let shown = self.to_string();
        drop(self); // with it our ends of the pipe, so that reading ends when the program does
        thread::scope(|scope| {
            scope.spawn(|| copy_lines(reader, &mut on_line));
            child.wait()
        })
        .with_context(|| format!("{shown} could not be waited for"))
    }
}

/// Lines are copied byte by byte as they are; only `on_line` sees them as text.
fn copy_lines(reader: PipeReader, on_line: &mut impl FnMut(&str)) {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        // Nobody is left to tell if standard error is closed; the program's result still counts.
        let _ = io::stderr().write_all(&line);
        on_line(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown.join(" "))
    }
}
