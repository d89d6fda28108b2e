//! Files from one disk to another: over this machine's loopback, over a long link, over one that loses packets; beside Chromium's
//! data channels, and beside rsync where a socket of TCP can go. And beside a call.

mod beside_call;
mod chromium;
mod ours;
mod rsync;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ahoy_testkit::{LinkConfig, UdpRelay};
use anyhow::{Context as _, Result, bail};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

use crate::network::film;
use crate::output::{Goal, Row, median};
use crate::say;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often each is done
    #[arg(long, default_value_t = 3)]
    runs: u32,

    /// Only this: loopback, long, loss or call
    #[arg(long)]
    only: Option<String>,

    /// Without Chromium and rsync
    #[arg(long)]
    alone: bool,

    /// Megabytes of the file on loopback; a quarter of it is sent over the links
    #[arg(long, default_value_t = 512)]
    megabytes: u64,
}

/// What a link of the goals carries, in bits per second.
const RATE: u64 = 100_000_000;
/// One way: half of the goals' round trip.
const DELAY: Duration = Duration::from_millis(50);
/// What waits before the link, at most: as long as the round trip.
const QUEUE: Duration = Duration::from_millis(100);
/// What has not arrived by then counts with what has.
const GIVE_UP: Duration = Duration::from_secs(60);

/// What the case beside a call is asked for by.
const CALL: &str = "call";

/// Where a file goes.
struct Case {
    /// What it is asked for by.
    key: &'static str,
    name: &'static str,
    /// One direction of the link; loopback itself without.
    link: Option<fn(seed: u64) -> Result<LinkConfig>>,
    goal: Goal,
}

const CASES: [Case; 3] = [
    Case { key: "loopback", name: "loopback", link: None, goal: Goal::RatioAtLeast(3.0) },
    Case { key: "long", name: "100 Mb/s, 100 ms", link: Some(|_| link(0.0, 0)), goal: Goal::AtLeast(90.0) },
    Case {
        key: "loss",
        name: "100 Mb/s, 100 ms, 1 % lost",
        link: Some(|seed| link(0.01, seed)),
        goal: Goal::AtLeast(50.0),
    },
];

fn link(loss: f64, seed: u64) -> Result<LinkConfig> {
    let link = LinkConfig::builder().bps(RATE).delay(DELAY).queue(QUEUE).random_loss(loss).seed(seed);
    link.build().context("a link can't be made")
}

/// How much of a file arrived, and how long that took.
#[derive(Clone, Copy, Debug)]
struct Arrived {
    bytes: u64,
    took: Duration,
    /// Bytes of memory that it took, where that is known.
    memory: Option<u64>,
}

impl Arrived {
    fn megabytes_per_second(self) -> f64 {
        self.bytes as f64 / 1e6 / self.took.as_secs_f64()
    }

    /// In percent of the link.
    fn share(self) -> f64 {
        self.bytes as f64 * 8.0 / self.took.as_secs_f64() / RATE as f64 * 100.0
    }
}

pub(crate) fn run(args: &Args, quick: bool) -> Result<Vec<Row>> {
    let (runs, megabytes) = if quick { (1, args.megabytes.min(64)) } else { (args.runs, args.megabytes) };
    let folder = tempfile::tempdir().context("there is no place for files")?;
    let mut rows = Vec::new();
    let wanted = |case: &&Case| args.only.as_ref().is_none_or(|only| only == case.key);
    if let Some(only) =
        args.only.as_ref().filter(|only| **only != CALL && CASES.iter().all(|case| case.key != **only))
    {
        bail!("there is no case {only}: loopback, long, loss and call are there");
    }
    for case in CASES.iter().filter(wanted) {
        let size = if case.link.is_some() { megabytes / 4 } else { megabytes } * 1_000_000;
        let path = random_file(folder.path(), size)?;
        let (mut ours, mut chromium, mut rsync, mut memory) = (vec![], vec![], vec![], vec![]);
        for run in 0..runs {
            say(&format!("{}, run {} of {runs}", case.name, run + 1));
            let relay = || case.link.map(|link| relay(link, u64::from(run))).transpose();
            let figure = |arrived: Arrived| match case.link {
                Some(_) => arrived.share(),
                None => arrived.megabytes_per_second(),
            };
            let arrived = ours::send(&path, relay()?).context("ours")?;
            say(&format!("  ours: {:.1}", figure(arrived)));
            ours.push(figure(arrived));
            memory.extend(arrived.memory.map(|bytes| bytes as f64 / 1e6));
            if args.alone {
                continue;
            }
            let arrived = chromium::send(&path, relay()?).context("Chromium's")?;
            say(&format!("  Chromium: {:.1}", figure(arrived)));
            chromium.push(figure(arrived));
            if case.link.is_none() {
                let arrived = rsync::send(&path).context("rsync's")?;
                say(&format!("  rsync: {:.1}", figure(arrived)));
                rsync.push(figure(arrived));
            }
        }
        let (metric, unit) = if case.link.is_some() { ("share of the link", "%") } else { ("speed", "MB/s") };
        let row = |metric, unit, ours, peer, goal| Row::new(case.name, metric, unit, ours, peer, goal);
        let peer = median(&chromium).map(|value| ("Chromium", value));
        rows.push(row(metric, unit, median(&ours), peer, Some(case.goal)));
        if let Some(value) = median(&rsync) {
            rows.push(row("speed, beside rsync", "MB/s", median(&ours), Some(("rsync", value)), None));
        }
        rows.push(row("memory, both ends", "MB", median(&memory), None, Some(Goal::AtMost(64.0))));
    }
    if args.only.as_ref().is_none_or(|only| only == CALL) {
        let clip = ahoy_testkit::lab::Clip::find().context("the test clip can't be had")?;
        let file = random_file(folder.path(), beside_call::FILE)?;
        let film = film(&clip.pictures, folder.path())?;
        rows.extend(beside_call::run(&file, &film, runs, quick, args.alone)?);
    }
    Ok(rows)
}

fn relay(link: fn(u64) -> Result<LinkConfig>, run: u64) -> Result<UdpRelay> {
    UdpRelay::start(link(2 * run)?, link(2 * run + 1)?).context("a link can't be emulated")
}

/// A file that can't be made smaller.
fn random_file(folder: &Path, size: u64) -> Result<PathBuf> {
    let path = folder.join(format!("{size}.bin"));
    if !path.exists() {
        let mut file = File::create(&path)?;
        let mut rng = Pcg64Mcg::seed_from_u64(size);
        let mut block = vec![0; 1_000_000];
        for _ in 0..size / block.len() as u64 {
            rng.fill(&mut block[..]);
            file.write_all(&block)?;
        }
        file.sync_all()?;
    }
    Ok(path)
}
