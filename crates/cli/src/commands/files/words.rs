//! How transfers are doing, in words.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use ahoy_client::transfers::{FileStage, FileView, Stage, TransferView, Way, trouble_in_words};
use anyhow::Result;
use serde_json::json;

use crate::commands::{json_line, print_line};

/// How often a line is printed where it can't be written over.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Files that are named of those that failed.
const NAMED: usize = 20;

/// Tells of transfers.
pub(super) struct Teller {
    json: bool,
    /// Whether the last line can be written over.
    terminal: bool,
    /// Length of the line that is written over.
    written: usize,
    last: Option<(String, Instant)>,
}

impl Teller {
    pub(super) fn new(json: bool) -> Self {
        let terminal = !json && std::io::stdout().is_terminal();
        Self { json, terminal, written: 0, last: None }
    }

    pub(super) fn waits(&mut self) -> Result<()> {
        match self.json {
            true => json_line(&json!({"type": "waiting"})),
            false => print_line("* Waiting for files (Ctrl-C ends it)."),
        }
    }

    pub(super) fn offered(&mut self, view: &TransferView, name: &str, asks: bool) -> Result<()> {
        self.finish()?;
        if self.json {
            return json_line(&json!({"type": "offered", "transfer": view}));
        }
        let question = if asks { " Take it? [Y/n]" } else { "" };
        print_line(&format!("* {name} sends {}.{question}", what(view)))
    }

    /// How a transfer is doing.
    pub(super) fn tell(&mut self, view: &TransferView, name: &str) -> Result<()> {
        if self.json {
            return json_line(&json!({"type": "transfer", "transfer": view}));
        }
        let words = standing(view, name);
        let is_over = view.stage == Stage::Ended;
        if self.terminal && !is_over {
            let mut out = std::io::stdout().lock();
            let length = words.chars().count();
            write!(out, "\r{words}{}", " ".repeat(self.written.saturating_sub(length)))?;
            self.written = length;
            return Ok(out.flush()?);
        }
        self.finish()?;
        let now = Instant::now();
        // Without figures, which change all the time.
        let state = words.split(':').next().unwrap_or_default().to_owned();
        let is_new = self
            .last
            .as_ref()
            .is_none_or(|(before, at)| *before != state || now.duration_since(*at) >= LINE_EVERY);
        if is_new || is_over {
            self.last = Some((state, now));
            print_line(&words)?;
        }
        Ok(())
    }

    pub(super) fn failures(&mut self, files: &[FileView]) -> Result<()> {
        let failed = files.iter().filter(|file| file.stage == FileStage::Failed);
        for file in failed.clone().take(NAMED) {
            let reason = file.reason.as_deref().unwrap_or_default();
            match self.json {
                true => json_line(&json!({"type": "file_failed", "path": file.path, "reason": reason}))?,
                false => print_line(&format!("  {}: {}", file.path, trouble_in_words(reason)))?,
            }
        }
        let more = failed.count().saturating_sub(NAMED);
        if more > 0 && !self.json {
            print_line(&format!("  and {more} more"))?;
        }
        Ok(())
    }

    /// What is written next begins on a line of its own.
    pub(super) fn finish(&mut self) -> Result<()> {
        if std::mem::take(&mut self.written) > 0 {
            print_line("")?;
        }
        Ok(())
    }
}

/// What a transfer consists of.
fn what(view: &TransferView) -> String {
    let first = view.names.first().map_or("", String::as_str);
    let names = match view.tops {
        0 | 1 => first.to_owned(),
        tops => format!("{first} and {} more", tops - 1),
    };
    let files = match (view.files, view.tops) {
        (1, _) => String::new(),
        (files, _) => format!("{files} files, "),
    };
    format!("{names} ({files}{})", bytes(view.bytes))
}

fn standing(view: &TransferView, name: &str) -> String {
    let names = what(view);
    let trouble = view.trouble.as_deref().map(trouble_in_words);
    match view.stage {
        Stage::Ended if view.failed > 0 || trouble.is_some() => {
            let why = trouble.unwrap_or("some of it failed");
            format!("* {names} is not all there: {why} ({} of {} files are)", view.done, view.files)
        }
        Stage::Ended => match (view.way, &view.folder) {
            (Way::Received, Some(folder)) => format!("* {names} is in {}.", folder.display()),
            (Way::Received | Way::Sent, _) => format!("* {names} is there: {name} has all of it."),
        },
        Stage::Offered if view.connected => format!("* Waiting for {name} to accept {names} …"),
        Stage::Offered => format!("* Waiting for {name} to be there …"),
        Stage::Going if view.paused_here || view.paused_there => {
            let why = trouble.map_or_else(String::new, |why| format!(": {why}"));
            format!("* {names} is paused{why}")
        }
        Stage::Going if !view.connected => {
            format!("* The connection to {name} is lost; it goes on when there is one: {}", far(view))
        }
        Stage::Going => {
            let speed = view.speed.map_or_else(String::new, |speed| format!(", {}/s", bytes(speed)));
            let left = view.left_s.map_or_else(String::new, |left| format!(", {} left", duration(left)));
            format!("* {names}: {}{speed}{left}", far(view))
        }
    }
}

fn far(view: &TransferView) -> String {
    let percent = (view.moved * 100).checked_div(view.bytes).unwrap_or(100);
    format!("{percent} % ({})", bytes(view.moved))
}

/// In units of a thousand, as file managers have it.
fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1_000 {
        return format!("{bytes} bytes");
    }
    let mut value = bytes as f64;
    let mut unit = "";
    for next in UNITS {
        if value < 999.95 {
            break;
        }
        (value, unit) = (value / 1_000.0, next);
    }
    format!("{value:.1} {unit}")
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_short() {
        let sizes = [0, 999, 1_000, 999_949, 999_950, 1_500_000, 1 << 40].map(bytes);
        assert_eq!(sizes, ["0 bytes", "999 bytes", "1.0 kB", "999.9 kB", "1.0 MB", "1.5 MB", "1.1 TB"]);
        assert_eq!([0, 59, 61, 3_599, 7_380].map(duration), ["0 s", "59 s", "2 min", "60 min", "2 h 3 min"]);
    }
}
