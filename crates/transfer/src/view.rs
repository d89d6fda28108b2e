//! How transfers are doing, for whoever looks.

use std::path::PathBuf;

use serde::Serialize;

use crate::{End, FileState, Manifest, NameRules, Progress, Reason, TransferState};

/// Names that are told of a transfer without being asked for more.
const NAMES: usize = 3;

/// In which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// From here.
    Sent,
    /// To here.
    Received,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Somebody has to accept it.
    Offered,
    /// It moves, or would with a connection.
    Going,
    /// It is over.
    Ended,
}

/// A transfer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct TransferView {
    /// Which: 32 hexadecimal digits.
    pub id: String,
    /// With whom.
    pub person: String,
    /// In which direction.
    pub way: Way,
    /// How far it is.
    pub stage: Stage,
    /// What is at the top of it: the first names.
    pub names: Vec<String>,
    /// How many there are at the top.
    pub tops: u32,
    /// Files that are wanted.
    pub files: u32,
    /// Of these, those that are where they belong.
    pub done: u32,
    /// Of these, those that failed.
    pub failed: u32,
    /// Bytes of the files that are wanted.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub bytes: u64,
    /// Bytes that are there.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub moved: u64,
    /// Whether there is a connection.
    pub connected: bool,
    /// Whether it was stopped on this side.
    pub paused_here: bool,
    /// Whether it was stopped on the other.
    pub paused_there: bool,
    /// Why it was stopped, where nobody asked for that, or why files failed.
    pub trouble: Option<String>,
    /// Bytes per second.
    #[cfg_attr(feature = "bindings", ts(type = "number | null"))]
    pub speed: Option<u64>,
    /// Seconds that the rest will take.
    #[cfg_attr(feature = "bindings", ts(type = "number | null"))]
    pub left_s: Option<u64>,
    /// Where it goes, or went.
    pub folder: Option<PathBuf>,
}

/// A file of a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct FileView {
    /// Which: its number in the transfer.
    pub number: u32,
    /// Where it is in the transfer, with slashes.
    pub path: String,
    /// In bytes.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub size: u64,
    /// Bytes that are there.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub moved: u64,
    /// How it is doing.
    pub stage: FileStage,
    /// Why it failed.
    pub reason: Option<String>,
}

/// How a file is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum FileStage {
    /// Others come first.
    Waiting,
    /// It moves.
    Moving,
    /// All of it is there; whether it is right, and on the disk, is not known yet.
    Checking,
    /// It is where it belongs.
    Done,
    /// It will not be.
    Failed,
    /// It was not wanted.
    Skipped,
}

/// What is always the same of a transfer.
#[derive(Clone, Debug)]
pub struct Label {
    id: String,
    person: String,
    way: Way,
    names: Vec<String>,
    tops: u32,
    folder: Option<PathBuf>,
}

impl Label {
    /// Of a transfer with somebody.
    pub fn new(id: String, person: String, way: Way, manifest: &Manifest) -> Self {
        let tops = || manifest.entries().iter().filter(|entry| entry.folder.is_none());
        let names = tops().take(NAMES).map(|entry| readable(&entry.name)).collect();
        Self { id, person, way, names, tops: tops().count() as u32, folder: None }
    }

    /// It goes there.
    pub fn goes_to(&mut self, folder: PathBuf) {
        self.folder = Some(folder);
    }

    /// How it is doing.
    pub fn view(&self, progress: Progress, connected: bool, trouble: Option<Reason>) -> TransferView {
        let Self { id, person, way, names, tops, folder } = self.clone();
        TransferView {
            id,
            person,
            way,
            stage: match progress.state {
                TransferState::Offered => Stage::Offered,
                TransferState::Going => Stage::Going,
                TransferState::Ended => Stage::Ended,
            },
            names,
            tops,
            files: progress.files,
            done: progress.done,
            failed: progress.failed,
            bytes: progress.bytes,
            moved: progress.moved,
            connected,
            paused_here: progress.paused.here,
            paused_there: progress.paused.there,
            trouble: trouble.map(code),
            speed: None,
            left_s: None,
            folder,
        }
    }
}

impl TransferView {
    /// Whether people have to see that it is another now, rather than further.
    pub fn is_news(&self, before: &Self) -> bool {
        let state = |view: &Self| {
            (view.stage, view.connected, view.paused_here, view.paused_there, view.failed, view.files)
        };
        state(self) != state(before) || self.trouble != before.trouble || self.folder != before.folder
    }

    /// Whether nothing more happens.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Ended
    }

    /// Whether bytes are to move.
    pub fn is_moving(&self) -> bool {
        self.stage == Stage::Going && self.connected && !self.paused_here && !self.paused_there
    }
}

/// All files of a transfer.
pub fn files(manifest: &Manifest, state: impl Fn(u32) -> Option<FileState>) -> Vec<FileView> {
    let view = |(number, size): (u32, u64)| {
        let (stage, moved, reason) = match state(number).unwrap_or(FileState::Waiting) {
            FileState::Waiting => (FileStage::Waiting, 0, None),
            FileState::Moving(bytes) => (FileStage::Moving, bytes, None),
            FileState::Checking => (FileStage::Checking, size, None),
            FileState::Ended(End::Done) => (FileStage::Done, size, None),
            FileState::Ended(End::Failed(reason)) => (FileStage::Failed, 0, Some(code(reason))),
            FileState::Ended(End::Skipped) => (FileStage::Skipped, 0, None),
        };
        FileView { number, path: manifest.path(number), size, moved, stage, reason }
    };
    manifest.files().map(view).collect()
}

impl Manifest {
    /// Where an entry is in the transfer, as people read it: with slashes.
    pub fn path(&self, number: u32) -> String {
        let mut parts = Vec::new();
        let mut next = Some(number);
        while let Some(entry) = next.and_then(|number| self.get(number)) {
            parts.push(readable(&entry.name));
            next = entry.folder;
        }
        parts.reverse();
        parts.join("/")
    }
}

/// Without what would make it look like another name.
fn readable(name: &str) -> String {
    NameRules::Posix.adapt(name)
}

/// As in the protocol, such as `no_space`.
fn code(reason: Reason) -> String {
    serde_json::to_value(reason).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}

/// What went wrong, and what to do about it.
pub fn trouble_in_words(code: &str) -> &'static str {
    match code {
        "declined" => "it was not wanted",
        "no_answer" => "the other side does not answer; resume it to try again",
        "too_many" => "there are too many transfers on the other side already",
        "cancelled" => "it was cancelled",
        "no_space" => "there is not enough space where it goes; make some and resume it",
        "unreadable" => "it can't be read where it comes from",
        "changed" => "it has changed while it was sent; send it again",
        "gone" => "it is not there any more",
        "unwritable" => "it can't be written where it goes; choose another folder",
        "damaged" => "what arrived was not what was sent, again and again",
        "protocol" => "the other side has said what can't be",
        _ => "something else went wrong",
    }
}
