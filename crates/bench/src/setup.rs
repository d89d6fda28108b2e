//! How long a call takes from the press of a button to the first picture of the other one: between two windows through a real
//! server, beside two pages of Chromium.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ahoy_testkit::lab::{Desktop, Preferences, Window};
use anyhow::{Context as _, Result, bail};

use crate::output::{Goal, Row, median};
use crate::window_call::Setting;
use crate::{loopback, say, setup_over_links};

/// How long the server may take to start.
const STARTED_WITHIN: Duration = Duration::from_secs(10);
const ASKED_EVERY: Duration = Duration::from_millis(20);
/// Nothing happens between calls for so long, as between those of people.
const BETWEEN: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Calls of each side
    #[arg(long, default_value_t = 20)]
    calls: u32,
    /// Leave Chromium out
    #[arg(long)]
    no_peer: bool,

    /// Only calls over links with these round trips, in milliseconds, and no windows
    #[arg(long, value_name = "MS,MS", value_delimiter = ',')]
    links: Vec<u64>,
}

pub(crate) fn run(args: &Args, quick: bool) -> Result<Vec<Row>> {
    let calls = if quick { 3 } else { args.calls.max(1) };
    let clip = ahoy_testkit::lab::Clip::find().context("the test clip can't be had")?;
    if !args.links.is_empty() {
        return setup_over_links::rows(&args.links, links_calls(calls), &clip.pictures, !args.no_peer);
    }
    let programs = loopback::built_programs()?;
    let server = Server::start(&programs.join("ahoy-server"))?;
    say(&format!("{calls} calls between two windows"));
    let ours = between_windows(&programs.join("ahoy"), &server.url, &clip.pictures, calls)?;
    let theirs = match args.no_peer {
        true => Vec::new(),
        false => {
            say(&format!("{calls} calls between two pages of Chromium"));
            between_pages(&clip.pictures, calls)?
        }
    };
    let peer = median(&theirs).map(|value| ("Chromium", value));
    let goal = Some(Goal::RatioAtMost(1.0));
    let row = |metric, value: Option<f64>, peer, goal| {
        Row::new("answered at once", metric, "ms", value, peer, goal)
    };
    let mut rows = vec![
        row("click to first picture, median", median(&ours), peer, goal),
        row(
            "click to first picture, best",
            least(&ours),
            least(&theirs).map(|value| ("Chromium", value)),
            None,
        ),
        row(
            "click to first picture, worst",
            most(&ours),
            most(&theirs).map(|value| ("Chromium", value)),
            None,
        ),
    ];
    rows.extend(setup_over_links::rows(&ROUND_TRIPS_MS, links_calls(calls), &clip.pictures, !args.no_peer)?);
    Ok(rows)
}

/// Delay emulated between two calls' ends: none, across a continent, around the world.
const ROUND_TRIPS_MS: [u64; 3] = [0, 100, 300];

/// Calls at each of those: fewer than between windows, because they differ less.
fn links_calls(calls: u32) -> u32 {
    calls.div_ceil(2)
}

fn least(values: &[f64]) -> Option<f64> {
    values.iter().copied().reduce(f64::min)
}

fn most(values: &[f64]) -> Option<f64> {
    values.iter().copied().reduce(f64::max)
}

/// The server, as an operator runs it. It ends when the value is dropped.
struct Server {
    process: Child,
    url: String,
    _data: tempfile::TempDir,
}

impl Server {
    fn start(program: &Path) -> Result<Self> {
        let data = tempfile::tempdir().context("no temporary folder could be made")?;
        let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let process = Command::new(program)
            .env("AHOY_SERVER__DATA_DIR", data.path())
            .env("AHOY_SERVER__HTTP__LISTEN", free.to_string())
            .env("AHOY_SERVER__LIMITS__NORMAL_PER_MINUTE", "100000")
            .current_dir(data.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{} can't be started", program.display()))?;
        let mut server = Self { process, url: format!("http://{free}"), _data: data };
        let started = Instant::now();
        while std::net::TcpStream::connect(free).is_err() {
            if started.elapsed() > STARTED_WITHIN || server.process.try_wait()?.is_some() {
                bail!("ahoy-server does not start");
            }
            thread::sleep(ASKED_EVERY);
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone after this.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn between_windows(program: &Path, server: &str, clip: &Path, calls: u32) -> Result<Vec<f64>> {
    let (at_adas, at_graces) =
        (Setting::new(program.to_owned(), clip)?, Setting::new(program.to_owned(), clip)?);
    let desktops = [Desktop::start(Preferences::default())?, Desktop::start(Preferences::default())?];
    let ada = at_adas.open_as(&desktops[0], "Ada")?;
    let grace = at_graces.open_as(&desktops[1], "Grace")?;
    for (window, handle) in [(&ada, "ada"), (&grace, "grace")] {
        sign_up(window, server, handle)?;
    }
    invoke(&ada, "add_contact", r#"{ "handle": "grace" }"#)?;
    grace.until("document.body.innerText.includes('asks to be your contact')")?;
    invoke(&grace, "add_contact", r#"{ "handle": "ada" }"#)?;
    ada.until("document.body.innerText.includes('grace · online')")?;
    grace.run(ANSWER_AT_ONCE)?;
    let mut took = Vec::new();
    for call in 1..=calls {
        thread::sleep(BETWEEN);
        ada.until_control("Call Grace with video")?;
        let ms = ada.run(CALL_AND_WAIT)?.as_f64().context("the window tells no time")?;
        say(&format!("call {call}: {ms:.0} ms"));
        took.push(ms);
        for window in [&ada, &grace] {
            window.until("document.querySelectorAll('figure canvas').length === 2")?;
        }
        ada.press("Hang up")?;
        for window in [&ada, &grace] {
            window.press("Done")?;
        }
    }
    Ok(took)
}

/// Whoever is called presses as soon as there is something to press.
const ANSWER_AT_ONCE: &str = "new MutationObserver(() => {
   const buttons = [...document.querySelectorAll('[role=alertdialog] button')];
   buttons.find((button) => button.textContent.trim() === 'Accept')?.click();
 }).observe(document.body, { subtree: true, childList: true })";

/// A canvas is there from the first picture on.
const CALL_AND_WAIT: &str = "const buttons = [...document.querySelectorAll('button')];
 const button = buttons.find((button) => button.textContent.trim() === 'Call Grace with video');
 return new Promise((done) => {
   const start = performance.now();
   button.click();
   const look = () =>
     document.querySelector('figure[aria-label=\"Grace\"] canvas')
       ? done(performance.now() - start)
       : requestAnimationFrame(look);
   look();
 })";

fn sign_up(window: &Window, server: &str, handle: &str) -> Result<()> {
    let given = format!(
        r#"{{ "given": {{ "server": {server:?}, "handle": {handle:?}, "password": "correct horse battery" }} }}"#
    );
    invoke(window, "sign_up", &given)?;
    window.until("document.body.innerText.includes('Signed in as')")?;
    Ok(())
}

/// Asks the program what its window would ask.
fn invoke(window: &Window, command: &str, given: &str) -> Result<()> {
    window.run(&format!("return window.__TAURI_INTERNALS__.invoke({command:?}, {given})"))?;
    Ok(())
}

fn between_pages(clip: &Path, calls: u32) -> Result<Vec<f64>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/setup_call.mjs");
    let output = Command::new("node")
        .arg(script)
        .args(["--calls", &calls.to_string()])
        .arg("--clip")
        .arg(clip)
        .stderr(Stdio::inherit())
        .output()
        .context("node can't be started: cargo xtask setup --for test installs what this bench needs")?;
    serde_json::from_slice(&output.stdout).context("Chromium's calls gave no report")
}
