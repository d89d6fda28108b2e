//! What has been measured, so that a suite of hours can be made in pieces: one line of JSON for each run, and its seconds as CSV
//! beside it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::measure::Measured;
use super::pair::Pair;
use crate::say;

const RUNS: &str = "runs.jsonl";
const TRACES: &str = "traces";

/// What was measured: runs of other builds say nothing about this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Build {
    /// Git's name of the latest commit that is about more than documents, and what has been changed since.
    pub(crate) commit: String,
    /// `release` or `debug`.
    pub(crate) profile: String,
    /// The file of the pictures.
    pub(crate) clip: String,
}

/// A run that is done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) case: String,
    pub(crate) who: Pair,
    /// Which one it is, from 1: the seed of the link's losses and jitter.
    pub(crate) seed: u64,
    #[serde(flatten)]
    pub(crate) build: Build,
    /// The processor's name.
    pub(crate) cpu: String,
    /// Load average over the minute before.
    pub(crate) load_before: f64,
    /// Share of the processors that was in use during the call, 0 to 1.
    pub(crate) busy: f64,
    /// When it was over, in seconds since 1970.
    pub(crate) at: u64,
    pub(crate) figures: Measured,
}

/// The runs of one build, in a folder.
pub(crate) struct Store {
    folder: PathBuf,
    build: Build,
    runs: Vec<Run>,
}

impl Store {
    /// Reads what is there of this build, or begins anew.
    pub(crate) fn open(folder: &Path, build: Build) -> Result<Self> {
        let path = folder.join(RUNS);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("{} can't be read", path.display()));
            }
        };
        let (all, ignored) = parse(&text);
        for note in ignored {
            say(&format!("{}: {note}", path.display()));
        }
        let runs = all.into_iter().filter(|run| run.build == build).collect();
        Ok(Self { folder: folder.to_owned(), build, runs })
    }

    /// Takes no notice of what is there. It stays in the file, and what is added comes after it.
    pub(crate) fn forget(&mut self) {
        self.runs.clear();
    }

    pub(crate) fn has(&self, case: &str, who: Pair, seed: u64) -> bool {
        self.runs.iter().any(|run| (run.case.as_str(), run.who, run.seed) == (case, who, seed))
    }

    /// The runs of a case in the order of their seeds; of several with the same one the last.
    pub(crate) fn runs(&self, case: &str, who: Pair) -> Vec<&Run> {
        let of_it = self.runs.iter().filter(|run| run.case == case && run.who == who);
        of_it.map(|run| (run.seed, run)).collect::<BTreeMap<_, _>>().into_values().collect()
    }

    /// Adds a run that is over: its seconds first, so that whatever is in the file of runs has them.
    pub(crate) fn add(&mut self, run: Run) -> Result<()> {
        let seconds = self.seconds_of(&run);
        if let Some(traces) = seconds.parent() {
            fs::create_dir_all(traces).with_context(|| format!("no folder at {}", traces.display()))?;
        }
        run.figures.write(&seconds)?;
        append(&self.folder.join(RUNS), &serde_json::to_string(&run)?)?;
        self.runs.push(run);
        Ok(())
    }

    /// Where each second of a run is.
    pub(crate) fn seconds_of(&self, run: &Run) -> PathBuf {
        let Run { case, who, seed, build, .. } = run;
        let Build { commit, profile, .. } = build;
        self.folder.join(TRACES).join(format!("{case}-{}-{seed}-{commit}-{profile}.csv", who.name()))
    }

    pub(crate) fn build(&self) -> &Build {
        &self.build
    }
}

/// The runs of a file, and what to say of lines that hold none.
fn parse(text: &str) -> (Vec<Run>, Vec<String>) {
    let (mut runs, mut ignored) = (Vec::new(), Vec::new());
    let last = text.lines().count();
    for (number, line) in (1..).zip(text.lines()) {
        match serde_json::from_str(line) {
            Ok(run) => runs.push(run),
            Err(_) if line.is_empty() => {}
            Err(_) if number == last && !text.ends_with('\n') => {
                ignored.push(
                    "the last line is half a run, of a bench that was ended in the middle: ignored".into(),
                );
            }
            Err(error) => {
                ignored.push(format!("line {number} is not a run of this bench: ignored ({error})"))
            }
        }
    }
    (runs, ignored)
}

/// Adds a line in one piece.
fn append(path: &Path, line: &str) -> Result<()> {
    let begun = fs::read(path).is_ok_and(|there| there.last().is_some_and(|last| *last != b'\n'));
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("{} can't be written", path.display()))?;
    // Half a line from before would spoil this one.
    let line = format!("{}{line}\n", if begun { "\n" } else { "" });
    file.write_all(line.as_bytes()).and_then(|()| file.sync_data()).context("the run could not be kept")
}

impl Build {
    /// The program that runs, with a clip.
    pub(crate) fn look(clip: &Path) -> Result<Self> {
        Ok(Self {
            commit: commit()?,
            profile: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
            clip: clip.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        })
    }
}

/// Documents do not change what is measured, and what was measured goes into documents: so they do not count.
const BUT_DOCUMENTS: [&str; 4] = ["--", ".", ":(exclude)docs", ":(exclude,glob)**/*.md"];

/// Such as `1a2b3c4d5e6f`, or with changes that are in no commit `1a2b3c4d5e6f+9a8b7c6d`.
fn commit() -> Result<String> {
    let text = |out: Vec<u8>| String::from_utf8_lossy(&out).trim().to_owned();
    let commit = text(git(&["log", "-1", "--abbrev=12", "--format=%h"], &BUT_DOCUMENTS, &[])?);
    let changes = git(&["diff", "HEAD"], &BUT_DOCUMENTS, &[])?;
    if changes.is_empty() {
        return Ok(commit);
    }
    let name = text(git(&["hash-object", "--stdin"], &[], &changes)?);
    Ok(format!("{commit}+{}", name.get(..8).unwrap_or(&name)))
}

/// Runs git in the sources that this program was built from.
fn git(command: &[&str], more: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut git = Command::new("git")
        .current_dir(sources)
        .args(command)
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("git can't be started: this bench keeps runs by the commit that was measured")?;
    // Dropped at once, which tells git that this is all.
    git.stdin.take().context("its input was asked for")?.write_all(input)?;
    let out = git.wait_with_output()?;
    if !out.status.success() {
        bail!("git does not know which commit this is: git {} failed", command.join(" "));
    }
    Ok(out.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(commit: &str) -> Build {
        Build { commit: commit.to_owned(), profile: "release".to_owned(), clip: "film.y4m".to_owned() }
    }

    fn run(who: Pair, seed: u64, utilisation: f64) -> Run {
        Run {
            case: "5.1".to_owned(),
            who,
            seed,
            build: build("a"),
            cpu: "x".to_owned(),
            load_before: 0.1,
            busy: 0.2,
            at: 1_800_000_000,
            figures: Measured { utilisation, ..Measured::default() },
        }
    }

    #[test]
    fn what_was_measured_is_there_the_next_time() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), build("a")).unwrap();
        store.add(run(Pair::OursOurs, 2, 0.92)).unwrap();
        store.add(run(Pair::OursOurs, 1, 0.91)).unwrap();
        store.add(run(Pair::ChromiumChromium, 1, 0.63)).unwrap();
        let again = Store::open(folder.path(), build("a")).unwrap();
        let used: Vec<f64> =
            again.runs("5.1", Pair::OursOurs).iter().map(|run| run.figures.utilisation).collect();
        assert_eq!(used, [0.91, 0.92], "in the order of their seeds");
        assert!(again.has("5.1", Pair::ChromiumChromium, 1) && !again.has("5.1", Pair::ChromiumChromium, 2));
        assert!(!again.has("loss-10", Pair::OursOurs, 1));
        assert!(again.seconds_of(again.runs("5.1", Pair::OursOurs)[0]).is_file());
    }

    #[test]
    fn runs_of_another_build_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        Store::open(folder.path(), build("a")).unwrap().add(run(Pair::OursOurs, 1, 0.9)).unwrap();
        assert!(!Store::open(folder.path(), build("b")).unwrap().has("5.1", Pair::OursOurs, 1));
        let debug = Build { profile: "debug".to_owned(), ..build("a") };
        assert!(!Store::open(folder.path(), debug).unwrap().has("5.1", Pair::OursOurs, 1));
    }

    #[test]
    fn a_run_made_anew_counts_in_place_of_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), build("a")).unwrap();
        store.add(run(Pair::OursOurs, 1, 0.8)).unwrap();
        store.forget();
        assert!(!store.has("5.1", Pair::OursOurs, 1));
        store.add(run(Pair::OursOurs, 1, 0.9)).unwrap();
        let again = Store::open(folder.path(), build("a")).unwrap();
        let runs = again.runs("5.1", Pair::OursOurs);
        assert_eq!((runs.len(), runs[0].figures.utilisation), (1, 0.9));
    }

    #[test]
    fn half_a_line_of_a_bench_that_was_killed_costs_that_run_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(RUNS);
        let mut store = Store::open(folder.path(), build("a")).unwrap();
        store.add(run(Pair::OursOurs, 1, 0.9)).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}{}", &whole[..whole.len() / 2])).unwrap();
        let (runs, ignored) = parse(&fs::read_to_string(&path).unwrap());
        assert_eq!(runs.len(), 1);
        assert!(ignored.len() == 1 && ignored[0].contains("half a run"), "{ignored:?}");
        let mut store = Store::open(folder.path(), build("a")).unwrap();
        store.add(run(Pair::OursOurs, 2, 0.9)).unwrap();
        let again = Store::open(folder.path(), build("a")).unwrap();
        assert!(again.has("5.1", Pair::OursOurs, 1) && again.has("5.1", Pair::OursOurs, 2));
    }

    #[test]
    fn a_line_of_another_kind_is_told() {
        let (runs, ignored) = parse("{\"case\": 5}\n\n");
        assert!(runs.is_empty());
        assert!(ignored.len() == 1 && ignored[0].contains("line 1"), "{ignored:?}");
    }

    #[test]
    fn the_commit_of_these_sources_has_a_name() {
        let name = commit().unwrap();
        let (commit, changes) = name.split_once('+').unwrap_or((&name, "00000000"));
        assert!(commit.len() >= 12 && changes.len() == 8, "{name}");
        assert!(name.chars().all(|char| char.is_ascii_hexdigit() || char == '+'), "{name}");
    }
}
