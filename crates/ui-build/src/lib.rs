//! Builds what is in `ui/`, when it is missing or older than its sources: the window, and the page for guests. Build scripts of
//! the packages that carry one of them call this.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::SystemTime;

/// What a build script returns.
pub type BuildResult<T> = Result<T, Box<dyn Error>>;

/// Everything that is built here is made from these.
const SOURCES: [&str; 8] = [
    "src",
    "index.html",
    "guest.html",
    "package.json",
    "package-lock.json",
    "svelte.config.js",
    "tsconfig.json",
    "vite.config.ts",
];
/// npm writes it at the end of an installation.
const INSTALLED: &str = "node_modules/.package-lock.json";
const LOCK: &str = "package-lock.json";
/// Two build scripts may run at once, and npm can't.
const ONE_AT_A_TIME: &str = "node_modules.lock";
/// The oldest Node that Vite runs on.
const OLDEST_NODE: (u32, u32) = (20, 19);

/// What can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The desktop program's window.
    Window,
    /// The page for guests.
    Guest,
}

impl Page {
    /// The folder in `ui/` into which it is built.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Window => "dist",
            Self::Guest => "dist-guest",
        }
    }

    /// Names the hashed scripts and styles, so it changes whenever any of them does.
    const fn html(self) -> &'static str {
        match self {
            Self::Window => "dist/index.html",
            Self::Guest => "dist-guest/guest.html",
        }
    }

    const fn script(self) -> &'static str {
        match self {
            Self::Window => "build",
            Self::Guest => "build:guest",
        }
    }
}

/// Tells cargo to run a build script again when a page or what it is made from has changed.
#[allow(clippy::print_stdout, reason = "this is how build scripts talk to cargo")]
pub fn come_back_for(ui: &Path, page: Page) {
    for path in SOURCES.iter().chain([&page.html()]) {
        println!("cargo::rerun-if-changed={}", ui.join(path).display());
    }
    println!("cargo::rerun-if-env-changed=AHOY_SKIP_UI_BUILD");
}

/// Ends a build script: what went wrong is told to cargo, line by line.
#[allow(clippy::print_stdout, reason = "this is how build scripts talk to cargo")]
pub fn conclude(result: BuildResult<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    for line in error.to_string().lines() {
        println!("cargo::error={line}");
    }
    ExitCode::FAILURE
}

/// Builds a page in the folder `ui`, unless it is there and no source is newer.
///
/// # Errors
/// What is missing on this machine or wrong in the sources, in words for people.
pub fn prepare(ui: &Path, page: Page) -> BuildResult<()> {
    let sources = newest(SOURCES.iter().map(|path| ui.join(path)).collect())?;
    let html = ui.join(page.html());
    if std::env::var_os("AHOY_SKIP_UI_BUILD").is_some() {
        return match modified(&html)? {
            Some(_) => Ok(()),
            None => Err(format!(
                "AHOY_SKIP_UI_BUILD is set but {} does not exist. \
                Unset it, or build it first: npm ci && npm run {}, both in ui/.",
                html.display(),
                page.script()
            )
            .into()),
        };
    }
    let lock = File::create(ui.join(ONE_AT_A_TIME))?;
    lock.lock()?;
    if modified(&html)?.is_some_and(|built| built >= sources) {
        return Ok(());
    }
    check_node()?;
    if modified(&ui.join(INSTALLED))? < modified(&ui.join(LOCK))? {
        npm(ui, &["ci", "--no-audit", "--no-fund"])?;
    }
    npm(ui, &["run", page.script()])?;
    // Cargo compares these times with the start of this run: a file written during it would count as changed and
    // cause one more build.
    File::options().write(true).open(html)?.set_modified(sources)?;
    Ok(())
}

/// When the youngest file below `paths` was last changed.
fn newest(mut paths: Vec<PathBuf>) -> BuildResult<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            for entry in path.read_dir()? {
                paths.push(entry?.path());
            }
        } else if let Some(time) = modified(&path)? {
            newest = newest.max(time);
        }
    }
    Ok(newest)
}

/// When a file was last changed, or `None` when there is no such file.
fn modified(path: &Path) -> BuildResult<Option<SystemTime>> {
    match path.metadata() {
        Ok(metadata) => Ok(Some(metadata.modified()?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot read {}: {error}", path.display()).into()),
    }
}

fn check_node() -> BuildResult<()> {
    let (major, minor) = OLDEST_NODE;
    let wish = format!(
        "Building Ahoy's pages needs Node {major}.{minor} or newer with npm: install it from https://nodejs.org or \
         your system's packages. To use pages built elsewhere, put them into ui/dist and ui/dist-guest and set \
         AHOY_SKIP_UI_BUILD=1."
    );
    let output =
        Command::new("node").arg("--version").output().map_err(|error| format!("{wish} ({error})"))?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = version.trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or(0));
    if (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < OLDEST_NODE {
        return Err(format!("{wish} The Node found is {version}.").into());
    }
    Ok(())
}

fn npm(ui: &Path, arguments: &[&str]) -> BuildResult<()> {
    let program = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let output = Command::new(program).args(arguments).current_dir(ui).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "`npm {}` failed in ui/:\n{}{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    )
    .into())
}
