//! Lines from standard input.

use std::io::{BufRead as _, IsTerminal as _};

use tokio::sync::mpsc;

/// Lines that were typed and not looked at. When it is full, reading waits.
const LINES: usize = 16;

/// What was typed.
pub(crate) enum Typed {
    Line(String),
    /// The end, at a terminal.
    Leave,
}

/// Reads lines on a thread of its own, because reading a terminal can't be stopped.
pub(crate) struct Keyboard {
    lines: mpsc::Receiver<String>,
    terminal: bool,
    ended: bool,
}

impl Keyboard {
    pub(crate) fn start() -> Self {
        let (typed, lines) = mpsc::channel(LINES);
        let reader = std::thread::Builder::new().name("ahoy-keyboard".to_owned()).spawn(move || {
            for line in std::io::stdin().lock().lines() {
                let Ok(line) = line else { break };
                if typed.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        if let Err(error) = reader {
            tracing::warn!(%error, "nothing can be typed: there are no more threads");
        }
        Self { lines, terminal: std::io::stdin().is_terminal(), ended: false }
    }

    /// What is typed next. Whoever gives a file or nothing to read wants to listen on when that has ended.
    pub(crate) async fn next(&mut self) -> Typed {
        if !self.ended {
            match self.lines.recv().await {
                Some(line) => return Typed::Line(line),
                None => self.ended = true,
            }
        }
        match self.terminal {
            true => Typed::Leave,
            false => std::future::pending().await,
        }
    }
}
