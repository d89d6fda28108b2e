//! `ahoy-cli join`.

use std::sync::Arc;
use std::time::Duration;

use ahoy_client::account::SignedIn;
use ahoy_client::signaling::{RoomEvent, Signaling, SignalingEvent, SignalingEvents};
use ahoy_signal::{LeaveReason, RoomId, StateEntry, WaitingGuest};
use anyhow::Result;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::connect;
use super::keyboard::{Keyboard, Typed};
use super::typist::Typist;
use super::{cancelled_by_ctrl_c, complain, json_line, print_line};
use crate::Outcome;
use crate::args::JoinArgs;
use crate::event_lines::{self, Teller};

/// How long what was typed before leaving may take.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(5);

pub(crate) async fn run(args: JoinArgs) -> Result<Outcome> {
    let name = connect::room_name(&args.room, &args.session)?;
    let (signed_in, known) =
        connect::comes_to(name, args.name.clone(), args.ca_file.clone(), &args.session).await?;
    stay(&args, &signed_in, known).await
}

/// What a stay in a room is made of.
struct Stay {
    room: RoomId,
    json: bool,
    signaling: Arc<Signaling>,
    teller: Teller,
    lobby: watch::Sender<Vec<WaitingGuest>>,
    inside: bool,
}

async fn stay(args: &JoinArgs, signed_in: &SignedIn, known: Option<RoomId>) -> Result<Outcome> {
    let end = args.seconds.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds));
    let (signaling, mut events) = connect::online(signed_in, connect::LONG_PATIENCE).await?;
    let room = match known {
        Some(room) => room,
        None => connect::find_room(&args.room, &args.session, &signaling).await?,
    };
    let signaling = Arc::new(signaling);
    let (lobby, waiting) = watch::channel(Vec::new());
    let mut typist = Typist::start(Arc::clone(&signaling), room, waiting);
    let teller = Teller::default();
    let mut stay = Stay {
        room,
        json: args.session.json,
        signaling: Arc::clone(&signaling),
        teller,
        lobby,
        inside: false,
    };
    signaling.join(room).await;
    let outcome = stay.follow(&mut events, &mut typist, end).await;
    typist.finish(LAST_WORDS_WITHIN).await.into_iter().try_for_each(|words| print_line(&words))?;
    if stay.inside {
        // The room may be gone, or the server: then one is out anyway.
        let left = tokio::time::timeout(LAST_WORDS_WITHIN, signaling.leave(room)).await;
        if matches!(left, Ok(Ok(()))) {
            stay.tell(&SignalingEvent::Room { room, event: RoomEvent::Left(LeaveReason::Left) })?;
        }
    }
    connect::end(&signaling, events).await;
    outcome
}

impl Stay {
    async fn follow(
        &mut self,
        events: &mut SignalingEvents,
        typist: &mut Typist,
        end: Option<Instant>,
    ) -> Result<Outcome> {
        let mut keyboard = Keyboard::start();
        let mut cancel = cancelled_by_ctrl_c();
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => if let Some(outcome) = self.event(&event)? { return Ok(outcome) },
                    None => return Ok(Outcome::Impossible),
                },
                typed = keyboard.next(), if self.inside => match typed {
                    Typed::Line(line) if matches!(line.trim(), "/leave" | "/quit") => return Ok(Outcome::Good),
                    Typed::Line(line) => typist.take(line).into_iter().try_for_each(|words| print_line(&words))?,
                    Typed::Leave => return Ok(Outcome::Good),
                },
                words = typist.reply() => if !self.json { print_line(&words)? } else { complain(&words) },
                () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => {
                    return Ok(if self.inside { Outcome::Good } else { Outcome::NotGood });
                }
                _ = cancel.changed() => return Ok(Outcome::Interrupted),
            }
        }
    }

    fn tell(&mut self, event: &SignalingEvent) -> Result<()> {
        match self.json {
            true => json_line(&event_lines::json(event)),
            false => print_line(&self.teller.words(event)),
        }
    }

    /// Tells an event. Returns how it ends, where that is the end.
    fn event(&mut self, event: &SignalingEvent) -> Result<Option<Outcome>> {
        self.tell(event)?;
        Ok(match event {
            SignalingEvent::Room { room, event } if *room == self.room => self.room_event(event),
            SignalingEvent::GaveUp(_) | SignalingEvent::Ended(_) => {
                self.inside = false;
                Some(Outcome::Impossible)
            }
            SignalingEvent::Room { .. }
            | SignalingEvent::Online { .. }
            | SignalingEvent::Offline { .. }
            | SignalingEvent::Contact(_)
            | SignalingEvent::ContactGone(_)
            | SignalingEvent::Inbox(_)
            | SignalingEvent::CallIncoming { .. }
            | SignalingEvent::CallAnswered { .. }
            | SignalingEvent::CallEnded { .. } => None,
        })
    }

    fn room_event(&mut self, event: &RoomEvent) -> Option<Outcome> {
        match event {
            RoomEvent::Entered { .. } => {
                self.inside = true;
                None
            }
            RoomEvent::Left(_) | RoomEvent::Refused(_) => {
                self.inside = false;
                Some(Outcome::NotGood)
            }
            RoomEvent::Lobby(waiting) => {
                self.lobby.send_replace(waiting.clone());
                None
            }
            RoomEvent::MuteRequested { .. } => {
                let (signaling, room) = (Arc::clone(&self.signaling), self.room);
                tokio::spawn(async move {
                    // If the room is gone there is nothing to mute.
                    let _ = signaling.say(room, StateEntry::Muted(true)).await;
                });
                None
            }
            RoomEvent::Waiting
            | RoomEvent::Came(_)
            | RoomEvent::Went(_)
            | RoomEvent::Changed(_)
            | RoomEvent::State { .. }
            | RoomEvent::Chat(_)
            | RoomEvent::Signal { .. }
            | RoomEvent::Settings { .. } => None,
        }
    }
}
