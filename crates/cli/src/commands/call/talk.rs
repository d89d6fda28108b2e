//! A call at a terminal: what happens is told, what is typed is done.

use std::sync::Arc;
use std::time::Duration;

use ahoy_client::calls::{
    CallReport, CallSnapshot, Calls, CallsEvent, CommandError, EndedCall, IncomingCall, LegStatus,
    RoomCallSnapshot, RoomEnd, StageName,
};
use ahoy_client::history::History;
use ahoy_client::signaling::{RoomEvent, Signaling, SignalingEvent};
use ahoy_signal::{CallId, CallMedia, ChatText, Handle, InboxItem, RoomId};
use anyhow::Result;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::in_room::InRoom;
use super::remote::{HangUp, Remote};
use super::words;
use crate::Outcome;
use crate::args::TalkArgs;
use crate::commands::keyboard::{Keyboard, Typed};
use crate::commands::{cancelled_by_ctrl_c, complain, connect, json_line, print_line};
use crate::event_lines;
use crate::table;

/// Which calls are taken.
struct Answering {
    auto: bool,
    from: Option<Handle>,
    media: CallMedia,
    /// The call that the person was asked about.
    asked: Option<CallId>,
}

/// One process's part in calls.
pub(super) struct Talk {
    json: bool,
    stats: bool,
    lasts: Option<Duration>,
    ends_at: Option<Instant>,
    answering: Option<Answering>,
    keyboard: Keyboard,
    cancel: watch::Receiver<bool>,
    snapshot: CallSnapshot,
    muted: bool,
    camera_on: bool,
    /// The room in which one talks.
    room: Option<InRoom>,
    /// What is written and who has called; guests have none.
    history: Option<History>,
    /// How the last call in which this process took part ended.
    ended: Option<Outcome>,
    /// Where `ahoy-cli hang-up` finds the call.
    remote: Option<(Remote, mpsc::Receiver<HangUp>)>,
    /// Who waits for the call to be over.
    asked: Option<HangUp>,
}

impl Talk {
    pub(super) fn start(args: &TalkArgs, json: bool, history: Option<History>) -> Self {
        Self {
            json,
            stats: args.stats,
            lasts: args.seconds.map(Duration::from_secs_f64),
            ends_at: None,
            answering: None,
            keyboard: Keyboard::start(),
            cancel: cancelled_by_ctrl_c(),
            snapshot: CallSnapshot::default(),
            muted: false,
            camera_on: args.video.is_some(),
            room: None,
            history,
            ended: None,
            remote: None,
            asked: None,
        }
    }

    pub(super) fn answers(&mut self, auto: bool, from: Option<Handle>, media: CallMedia) {
        self.answering = Some(Answering { auto, from, media, asked: None });
    }

    /// Enters a room, where people are let in and chat as well.
    pub(super) fn enters(&mut self, signaling: &Arc<Signaling>, room: RoomId) {
        self.room = Some(InRoom::start(Arc::clone(signaling), room));
    }

    /// Says that calls are waited for.
    pub(super) fn waits(&mut self) -> Result<()> {
        self.ended = None;
        if self.json {
            json_line(&json!({"type": "waiting"}))
        } else {
            print_line("* Waiting for a call (Ctrl-C ends it).")
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.snapshot.current.is_none() && !self.room.as_ref().is_some_and(|room| room.inside)
    }

    pub(super) fn had_call(&self) -> bool {
        self.ended.is_some()
    }

    /// Takes part in what happens next; returns how the call ended, once it has.
    pub(super) async fn next(
        &mut self,
        calls: &Calls,
        events: &mut mpsc::Receiver<CallsEvent>,
    ) -> Result<Option<Outcome>> {
        let ends_at = self.ends_at;
        let asked = async {
            match &mut self.remote {
                Some((_, requests)) => requests.recv().await,
                None => None,
            }
        };
        let reply = async {
            match &mut self.room {
                Some(room) => room.reply().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(asked) = asked => {
                self.asked = Some(asked);
                // It may have ended at this very moment.
                let _ = calls.hang_up().await;
                Ok(None)
            }
            event = events.recv() => match event {
                Some(event) => self.on_event(calls, event).await,
                None => Ok(Some(Outcome::Impossible)),
            },
            words = reply => {
                self.tell(&words)?;
                Ok(None)
            }
            typed = self.keyboard.next() => match typed {
                Typed::Line(line) => self.on_line(calls, line.trim()).await.map(|()| None),
                Typed::Leave => self.leave(calls).await,
            },
            _ = self.cancel.changed() => self.leave(calls).await,
            () = sleep_until(ends_at.unwrap_or_else(Instant::now)), if ends_at.is_some() => {
                self.ends_at = None;
                // It may have ended at this very moment.
                let _ = calls.hang_up().await;
                Ok(None)
            }
        }
    }

    /// Hangs up; without a call, that is the end.
    async fn leave(&mut self, calls: &Calls) -> Result<Option<Outcome>> {
        Ok(match calls.hang_up().await {
            Ok(()) => None,
            Err(_) => Some(Outcome::Interrupted),
        })
    }

    async fn on_event(&mut self, calls: &Calls, event: CallsEvent) -> Result<Option<Outcome>> {
        match event {
            CallsEvent::Signaling(event) => {
                if let SignalingEvent::Room { event: RoomEvent::MuteRequested { .. }, .. } = &event {
                    // It may have ended at this very moment.
                    let _ = self.set_muted(calls, true).await;
                }
                return self.on_signaling(&event);
            }
            CallsEvent::Changed(snapshot) => self.on_changed(*snapshot).await?,
            CallsEvent::Rings(call) => self.on_ring(calls, *call).await?,
            CallsEvent::Media(media) => {
                if self.json {
                    json_line(&json!({"type": "media", "media": &*media}))?;
                } else if let Some(problem) = media.problems.last() {
                    print_line(&format!("* {}", problem.message))?;
                }
            }
            CallsEvent::Failed(problem) if self.json => {
                json_line(&json!({"type": "failed", "problem": &*problem}))?;
            }
            CallsEvent::Failed(problem) => print_line(&format!("* {}", problem.message))?,
            CallsEvent::Stats(stats) if self.json && self.stats => {
                json_line(&json!({"type": "stats", "stats": &*stats}))?;
            }
            CallsEvent::Stats(_) => {}
            CallsEvent::Room(room) => self.on_room(&room)?,
            CallsEvent::RoomEnded(room, end, report) => {
                return self.on_room_ended(room, &end, report.as_deref()).await;
            }
            CallsEvent::Ended(ended, report) => return self.on_ended(&ended, report.as_deref()).await,
        }
        Ok(None)
    }

    fn on_signaling(&mut self, event: &SignalingEvent) -> Result<Option<Outcome>> {
        if let Some(history) = &self.history {
            connect::to_history(history, event);
        }
        let words = match (event, &mut self.room) {
            (SignalingEvent::Room { event, .. }, Some(room)) => room.on_event(event),
            _ => None,
        };
        match event {
            // Told by the calls themselves.
            SignalingEvent::CallIncoming { .. }
            | SignalingEvent::CallAnswered { .. }
            | SignalingEvent::CallEnded { .. } => {}
            _ if self.json => json_line(&event_lines::json(event))?,
            SignalingEvent::Offline { .. } | SignalingEvent::Online { .. } | SignalingEvent::GaveUp(_) => {
                print_line(&event_lines::Teller::default().words(event))?;
            }
            SignalingEvent::Inbox(entry) => match &entry.item {
                InboxItem::Message { sent: false, .. } => {
                    print_line(&event_lines::Teller::default().inbox_words(&entry.item))?;
                }
                // Of a call that rings here the end tells.
                InboxItem::Message { .. } | InboxItem::Marked { .. } | InboxItem::MissedCall { .. } => {}
            },
            SignalingEvent::Room { .. } => words.map_or(Ok(()), |words| print_line(&words))?,
            SignalingEvent::Ended(_) | SignalingEvent::Contact(_) | SignalingEvent::ContactGone(_) => {}
        }
        // Without a server nobody can call; a call that there is goes on without.
        let over = matches!(event, SignalingEvent::GaveUp(_) | SignalingEvent::Ended(_));
        Ok((over && self.is_idle()).then_some(Outcome::Impossible))
    }

    async fn on_changed(&mut self, snapshot: CallSnapshot) -> Result<()> {
        if let (None, Some(current)) = (&self.remote, &snapshot.current) {
            match Remote::listen(current.peer.handle.as_str()).await {
                Ok(remote) => self.remote = Some(remote),
                Err(error) => tracing::warn!(%error, "`ahoy-cli hang-up` will not find this call"),
            }
        }
        if self.json {
            json_line(&json!({"type": "calls", "calls": &snapshot}))?;
        } else if let Some(line) = words::change(&self.snapshot, &snapshot) {
            print_line(&line)?;
        }
        let connected = snapshot.current.as_ref().is_some_and(|current| {
            current.stage == StageName::Answered
                && current.legs.iter().any(|leg| leg.status == LegStatus::Connected)
        });
        if connected && self.ends_at.is_none() {
            self.ends_at = self.lasts.map(|lasts| Instant::now() + lasts);
        }
        self.snapshot = snapshot;
        Ok(())
    }

    async fn on_ring(&mut self, calls: &Calls, call: IncomingCall) -> Result<()> {
        if self.json {
            json_line(&json!({"type": "rings", "call": &call}))?;
        }
        let Some(answering) = &mut self.answering else {
            if !self.json {
                print_line(&format!("* {} calls you; you are in a call.", call.peer.name))?;
            }
            return Ok(());
        };
        if answering.from.as_ref().is_some_and(|from| *from != call.peer.handle) {
            return Ok(());
        }
        if answering.auto {
            // It may have ended at this very moment.
            let _ = calls.accept(call.call, answering.media).await;
        } else {
            answering.asked = Some(call.call);
            if !self.json {
                print_line(&words::asks(&call))?;
            }
        }
        Ok(())
    }

    fn on_room(&mut self, room: &RoomCallSnapshot) -> Result<()> {
        if self.json {
            json_line(&json!({"type": "room_call", "room_call": room}))?;
        } else {
            let talking = room.legs.iter().filter(|leg| leg.status == LegStatus::Connected).count();
            let status = words::in_room(talking, room.legs.len() - talking);
            if let Some(news) = self.room.as_mut().and_then(|room| room.on_status(status)) {
                print_line(&news)?;
            }
        }
        if room.legs.iter().any(|leg| leg.status == LegStatus::Connected) && self.ends_at.is_none() {
            self.ends_at = self.lasts.map(|lasts| Instant::now() + lasts);
        }
        if let Some(in_room) = &mut self.room {
            in_room.held = room.held;
        }
        Ok(())
    }

    async fn on_room_ended(
        &mut self,
        room: RoomId,
        end: &RoomEnd,
        report: Option<&CallReport>,
    ) -> Result<Option<Outcome>> {
        if let Some(mut left) = self.room.take() {
            for words in left.finish().await {
                self.tell(&words)?;
            }
        }
        let (reason, words) = words::room_end(end);
        if self.json {
            json_line(&json!({"type": "room_over", "room": room, "reason": reason, "report": report}))?;
        } else {
            print_line(&format!("* {words}"))?;
            if let Some(report) = report {
                print_line(table::call(report).trim_end())?;
            }
        }
        self.ends_at = None;
        Ok(Some(match end {
            RoomEnd::Left => Outcome::Good,
            RoomEnd::Out(_) | RoomEnd::Refused(_) => Outcome::NotGood,
        }))
    }

    async fn on_ended(&mut self, ended: &EndedCall, report: Option<&CallReport>) -> Result<Option<Outcome>> {
        if let Some(history) = &self.history
            && let Err(error) = history.call(ended.record.clone()).await
        {
            complain(&error.to_string());
        }
        if self.json {
            json_line(&json!({"type": "call_over", "call": ended, "report": report}))?;
        } else {
            print_line(&format!("* {}", words::over(ended)))?;
            if let Some(report) = report.filter(|_| ended.answered_s.is_some()) {
                print_line(table::call(report).trim_end())?;
            }
        }
        if report.is_none() && words::only_rang(ended) {
            return Ok(None);
        }
        self.ends_at = None;
        if let Some(asked) = self.asked.take() {
            // Whoever asked may have gone.
            let _ = asked.send(());
        }
        self.remote = None;
        let outcome = words::outcome(ended, report);
        self.ended = Some(outcome);
        Ok(Some(outcome))
    }

    async fn set_muted(&mut self, calls: &Calls, muted: bool) -> Result<(), CommandError> {
        calls.set_muted(muted).await?;
        self.muted = muted;
        Ok(())
    }

    /// Writes to the one that the call is with.
    async fn write(&self, line: &str) -> Result<()> {
        let (Some(history), Some(current)) = (&self.history, &self.snapshot.current) else { return Ok(()) };
        let text = match ChatText::new(line) {
            Ok(text) => text,
            Err(error) => return self.tell(&format!("* {error}")),
        };
        match history.write(current.peer.clone(), text).await {
            Ok(_) => Ok(()),
            Err(error) => self.tell(&format!("* {error}")),
        }
    }

    /// Answers what was typed. Standard output is for programs where it is JSON.
    fn tell(&self, words: &str) -> Result<()> {
        if self.json {
            complain(words);
            return Ok(());
        }
        print_line(words)
    }

    async fn on_line(&mut self, calls: &Calls, line: &str) -> Result<()> {
        if let Some(asked) = self.answering.as_mut().and_then(|answering| answering.asked.take()) {
            let media = self.answering.as_ref().map_or(CallMedia::Audio, |answering| answering.media);
            let done = match line {
                "y" | "yes" | "" => calls.accept(asked, media).await,
                _ => calls.decline(asked).await,
            };
            return done.or_else(|error| self.tell(&format!("* {error}")));
        }
        let done = match line {
            "m" => self.set_muted(calls, !self.muted).await,
            // What is typed in a room that one only listens to.
            "/mute" | "/unmute" => self.set_muted(calls, line == "/mute").await,
            "c" => {
                self.camera_on = !self.camera_on;
                calls.set_camera_on(self.camera_on).await
            }
            "h" => {
                let current = self.snapshot.current.as_ref().map(|current| current.held);
                let in_room = self.room.as_ref().map(|room| room.held);
                let held = current.or(in_room).unwrap_or(false);
                calls.hold(!held).await
            }
            "q" | "/leave" | "/quit" => calls.hang_up().await,
            "" => Ok(()),
            line if self.room.as_ref().is_some_and(|room| room.inside) && line.len() > 1 => {
                let words = self.room.as_mut().and_then(|room| room.take(line));
                return words.map_or(Ok(()), |words| self.tell(&words));
            }
            line if self.snapshot.current.is_some() && line.len() > 1 => return self.write(line).await,
            _ => return self.tell("* m mutes, c turns the camera off or on, h holds the call, q hangs up; longer lines are written to the other side."),
        };
        done.or_else(|error| self.tell(&format!("* {error}")))
    }
}
