//! The task that owns the machines, the legs and the media: what happens goes into the machines, what they decide is carried
//! out.

mod beside;
mod legs;
mod outputs;
mod views;
mod ways;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahoy_call::{
    CallMachine, CallRecord, CallSnapshot, CommandError, Input, LinksInput, MediaState, PeerId, RoomCall,
    RoomCallSnapshot, RoomInput, StageName,
};
use ahoy_rtc::Uplink;
use ahoy_signal::{CallId, CallMedia, LeaveReason, RoomId, ServerMessage};
use ahoy_signal_client::room::RoomEvent;
use ahoy_signal_client::session::RequestError;
use ahoy_signal_client::{ClientEvent, PostId};
use ahoy_tunnel::Tunnel;
use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use self::beside::Beside;
use self::ways::news_of;
use super::active::Active;
use super::leg::{Leg, LegEvent};
use super::media::Media;
use super::report::CallReport;
use super::wire::Outgoing;
use super::{CallsEvent, CallsOptions, Command, RoomEnd};
use crate::connectivity::{KnownServers, NetworkWatch};
use crate::signaling::{Signaling, SignalingEvents, told};

/// Events of legs that wait: a set-up makes some dozens. While it is full, legs wait.
const LEG_EVENTS: usize = 256;
/// How often devices are looked after during a call.
const TICK: Duration = Duration::from_millis(100);
/// Figures are told every so many ticks: twice a second.
const STATS_TICKS: u32 = 5;

/// What a call or a room has come to.
enum Over {
    Call(CallRecord),
    Room(RoomId, RoomEnd),
}

pub(super) struct Runner {
    machine: CallMachine,
    /// The room that one talks in.
    room: Option<RoomCall>,
    signaling: Signaling,
    options: CallsOptions,
    events: mpsc::Sender<CallsEvent>,
    legs: BTreeMap<PeerId, Leg>,
    leg_number: u64,
    leg_events: mpsc::Sender<LegEvent>,
    from_legs: Option<mpsc::Receiver<LegEvent>>,
    outgoing: Outgoing,
    /// Which call each request is about that has not been answered.
    asked: BTreeMap<PostId, CallId>,
    last_post: PostId,
    active: Option<Active>,
    /// Media that are not needed any more, until the machine says what became of it.
    over: Option<Active>,
    /// Whose devices are being let go.
    ending: Option<JoinHandle<(Over, CallReport)>>,
    ticks: u32,
    servers: KnownServers,
    /// The request for them that has not been answered.
    servers_asked: Option<PostId>,
    tunnel: Tunnel,
    tls: Option<Arc<ClientConfig>>,
    /// Files give way to calls, whoever they are for.
    uplink: Uplink,
    /// Connections for files.
    beside: Option<Beside>,
    told: CallSnapshot,
    told_room: Option<RoomCallSnapshot>,
}

impl Runner {
    pub(super) fn new(signaling: Signaling, options: CallsOptions, events: mpsc::Sender<CallsEvent>) -> Self {
        let (leg_events, from_legs) = mpsc::channel(LEG_EVENTS);
        // Without certificates there are no relays over TLS, and other ways.
        let tls = signaling.trust().client_config();
        let tls = tls.inspect_err(|error| tracing::warn!(%error, "no relays over TLS")).ok();
        let beside = Beside::new(options.transfers.clone());
        Self {
            machine: CallMachine::default(),
            room: None,
            signaling,
            options,
            events,
            legs: BTreeMap::new(),
            leg_number: 0,
            leg_events,
            from_legs: Some(from_legs),
            outgoing: Outgoing::default(),
            asked: BTreeMap::new(),
            last_post: 0,
            active: None,
            over: None,
            ending: None,
            ticks: 0,
            servers: KnownServers::default(),
            servers_asked: None,
            tunnel: Tunnel::system(tls.clone()),
            tls,
            uplink: Uplink::default(),
            beside,
            told: CallSnapshot::default(),
            told_room: None,
        }
    }

    pub(super) async fn run(mut self, mut session: SignalingEvents, mut commands: mpsc::Receiver<Command>) {
        let Some(mut from_legs) = self.from_legs.take() else { return };
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut network: Option<NetworkWatch> = None;
        let calls = session.take_calls();
        self.ask_for_servers().await;
        self.handle(Input::SessionBegan { calls }).await;
        let mut session_is_over = false;
        loop {
            let room_deadline = self.room.as_ref().and_then(RoomCall::deadline);
            // Only a call cares which addresses there are.
            match self.active.is_some() {
                true => drop(network.get_or_insert_with(NetworkWatch::start)),
                false => network = None,
            }
            self.look_beside().await;
            let beside_deadline = self.beside.as_ref().and_then(Beside::deadline);
            let deadlines = [self.machine.deadline(), room_deadline, beside_deadline];
            let deadline = deadlines.into_iter().flatten().min();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.on_command(command).await,
                    None => break,
                },
                event = session.next_of_session(), if !session_is_over => match event {
                    Some(event) => self.on_session(event).await,
                    // Calls go on as long as they can.
                    None => {
                        session_is_over = true;
                        self.handle_room(RoomInput::ServerGone).await;
                    }
                },
                Some(event) = from_legs.recv() => self.on_leg(event).await,
                ended = wait_for(&mut self.ending), if self.ending.is_some() => self.on_ended(ended).await,
                () = sleep_until(deadline.unwrap_or_else(Instant::now).into()), if deadline.is_some() => {
                    self.handle_room(RoomInput::Tick).await;
                    self.handle(Input::Tick).await;
                    self.beside(LinksInput::Tick).await;
                }
                () = changed_beside(&mut self.beside), if self.beside.is_some() => {}
                _ = tick.tick(), if self.active.is_some() => self.on_tick().await,
                news = news_of(&mut network), if network.is_some() => self.legs.values().for_each(|leg| leg.on_network(news)),
            }
            if self.room.as_ref().is_some_and(RoomCall::is_over) {
                self.leave_room(RoomEnd::Out(LeaveReason::ConnectionLost)).await;
            }
            if session_is_over && self.active.is_none() && self.ending.is_none() {
                break;
            }
        }
        self.close().await;
    }

    /// Hangs up, and waits until all devices are let go.
    async fn close(&mut self) {
        let _ = self.hang_up().await;
        self.await_end().await;
    }

    /// Ends the call, or leaves the room.
    async fn hang_up(&mut self) -> Result<(), CommandError> {
        if self.room.is_some() {
            self.leave_room(RoomEnd::Left).await;
            return Ok(());
        }
        let done = self.machine.command(ahoy_call::Command::HangUp, Instant::now());
        self.carry_out().await;
        done
    }

    async fn enter(&mut self, room: RoomId, media: CallMedia) -> Result<(), CommandError> {
        if self.room.is_some() || self.machine.snapshot(Instant::now()).current.is_some() {
            return Err(CommandError::InCall);
        }
        self.room = Some(RoomCall::new(room, media == CallMedia::Video));
        self.carry_out().await;
        self.signaling.join(room).await;
        Ok(())
    }

    /// Talks there no longer.
    async fn leave_room(&mut self, end: RoomEnd) {
        let Some(room) = &mut self.room else { return };
        room.leave();
        self.carry_out().await;
        let Some(room) = self.room.take() else { return };
        if end == RoomEnd::Left {
            // Where the server can't be asked it finds out by itself.
            self.last_post += 1;
            let _ = self.signaling.post_leave(room.room(), self.last_post).await;
        }
        self.is_over(Over::Room(room.room(), end)).await;
        self.tell_changes().await;
    }

    async fn on_command(&mut self, command: Command) {
        match command {
            Command::Machine(ahoy_call::Command::HangUp, reply) => {
                let done = self.hang_up().await;
                let _ = reply.send(done);
            }
            Command::Enter(room, media, reply) => {
                let done = self.enter(room, media).await;
                let _ = reply.send(done);
            }
            Command::Machine(ahoy_call::Command::Call { .. }, reply) if self.room.is_some() => {
                let _ = reply.send(Err(CommandError::InCall));
            }
            Command::Machine(ahoy_call::Command::Hold(on), reply) if self.room.is_some() => {
                self.room.iter_mut().for_each(|room| room.hold(on));
                self.carry_out().await;
                let _ = reply.send(Ok(()));
            }
            Command::Machine(command, reply) => {
                if let ahoy_call::Command::Accept { .. } = &command {
                    self.leave_room(RoomEnd::Left).await;
                }
                let done = self.machine.command(command, Instant::now());
                self.carry_out().await;
                let _ = reply.send(done);
            }
            Command::Mute(muted, reply) => {
                let done = self.with_media(|media| media.mute(muted)).await;
                let _ = reply.send(done);
            }
            Command::Camera(on, reply) => {
                let done = self.with_media(|media| media.turn_camera(on)).await;
                let _ = reply.send(done);
            }
            Command::Follow(options) => {
                // Files go on as they are.
                let transfers = self.options.transfers.take();
                self.options = CallsOptions { transfers, ..*options };
                if let Some(active) = &mut self.active {
                    active.media.follow(self.options.media.clone());
                }
            }
            Command::Retry => {
                if let Some(active) = &mut self.active {
                    active.media.retry();
                }
            }
        }
        self.tell_media().await;
    }

    /// Changes what is sent, and tells the other side.
    async fn with_media(&mut self, change: impl FnOnce(&mut Media)) -> Result<(), CommandError> {
        let active = self.active.as_mut().ok_or(CommandError::NoCall)?;
        change(&mut active.media);
        let state = active.media.state();
        let done = self.set_media(state);
        self.carry_out().await;
        done
    }

    /// What is sent, for the other side to be told as soon as there is a connection.
    fn set_media(&mut self, state: MediaState) -> Result<(), CommandError> {
        self.room.iter_mut().for_each(|room| room.set_media(state));
        self.machine.command(ahoy_call::Command::SetMedia(state), Instant::now())
    }

    async fn on_session(&mut self, event: ClientEvent) {
        if let ClientEvent::Room(room, event) = &event
            && self.room.as_ref().is_some_and(|call| call.room() == *room)
        {
            self.on_room(event).await;
        }
        if let ClientEvent::Answered(post, answer) = event {
            if self.servers_asked == Some(post) {
                self.servers_asked = None;
                return self.on_servers(answer.map(|answer| answer.body));
            }
            let call = self.asked.remove(&post);
            return self.on_answer(call, answer.map(|answer| answer.body)).await;
        }
        let began = matches!(event, ClientEvent::Began(_));
        let input = match &event {
            ClientEvent::Began(welcome) => Some(Input::SessionBegan { calls: welcome.calls.clone() }),
            ClientEvent::News(message) => Input::of_server((**message).clone()),
            ClientEvent::Resumed
            | ClientEvent::Waiting { .. }
            | ClientEvent::GaveUp(_)
            | ClientEvent::Ended(_)
            | ClientEvent::Room(..)
            | ClientEvent::Answered(..) => None,
        };
        if let ClientEvent::News(message) = &event {
            self.hear_beside(message).await;
        }
        if let Some(event) = told(event) {
            self.tell(CallsEvent::Signaling(event)).await;
        }
        if began {
            self.servers.forget();
        }
        // Credentials are fresh when a call is answered, though it takes no time then.
        if began || matches!(input, Some(Input::Incoming { .. })) {
            self.ask_for_servers().await;
        }
        if let Some(input) = input {
            self.handle(input).await;
        }
    }

    async fn on_room(&mut self, event: &RoomEvent) {
        let input = match event {
            RoomEvent::Entered { participant, room, .. } => {
                let others = room.participants.iter().filter(|other| other.id != *participant);
                let others = others.map(|other| (other.id, other.user)).collect();
                RoomInput::Entered { me: *participant, others }
            }
            RoomEvent::Came(participant) => RoomInput::Came(participant.id, participant.user),
            RoomEvent::Went(participant) => RoomInput::Went(participant.id),
            RoomEvent::Signal { from, connection, signal } => {
                RoomInput::Signal { from: *from, connection: *connection, signal: (**signal).clone() }
            }
            RoomEvent::Left(reason) => return self.leave_room(RoomEnd::Out(*reason)).await,
            RoomEvent::Refused(refusal) => {
                return self.leave_room(RoomEnd::Refused(refusal.clone())).await;
            }
            RoomEvent::Waiting
            | RoomEvent::Changed(_)
            | RoomEvent::State { .. }
            | RoomEvent::Chat(_)
            | RoomEvent::Settings { .. }
            | RoomEvent::Lobby(_)
            | RoomEvent::MuteRequested { .. } => return,
        };
        self.handle_room(input).await;
    }

    async fn on_answer(&mut self, call: Option<CallId>, answer: Result<ServerMessage, RequestError>) {
        match (call, answer) {
            (Some(_), Ok(message)) => {
                if let Some(input) = Input::of_server(message) {
                    self.handle(input).await;
                }
            }
            (Some(call), Err(RequestError::Refused(refusal))) => {
                self.handle(Input::Refused { call, code: refusal.code }).await;
            }
            (None, Ok(_)) => {}
            // The next session, or time, will tell.
            (_, Err(error)) => tracing::debug!(%error, "what was asked about a call"),
        }
    }

    async fn handle(&mut self, input: Input) {
        self.machine.handle(input, Instant::now());
        self.carry_out().await;
    }

    /// Each of the two machines knows its legs, and ignores those of the other.
    async fn handle_room(&mut self, input: RoomInput) {
        if let Some(room) = &mut self.room {
            room.handle(input, Instant::now());
            self.carry_out().await;
        }
    }

    async fn on_tick(&mut self) {
        let Some(active) = &mut self.active else { return };
        active.media.look().await;
        self.ticks += 1;
        if self.ticks.is_multiple_of(STATS_TICKS) {
            let stats = active.stats();
            // Figures that nobody looks at are left out.
            let _ = self.events.try_send(CallsEvent::Stats(Box::new(stats)));
        }
        self.ask_for_servers().await;
        self.tell_pauses().await;
        self.tell_views().await;
        self.tell_media().await;
    }

    /// The other side is told when pictures are held back, and when they come again.
    async fn tell_pauses(&mut self) {
        let Some(active) = &mut self.active else { return };
        let paused = active.media.state().paused;
        if std::mem::replace(&mut active.paused, paused) != paused {
            let _ = self.with_media(|_| {}).await;
        }
    }

    async fn tell_media(&mut self) {
        if let Some(news) = self.active.as_mut().and_then(Active::news) {
            self.tell(CallsEvent::Media(Box::new(news))).await;
        }
    }

    async fn tell_changes(&mut self) {
        let snapshot = self.machine.snapshot(Instant::now());
        let room = self.room.as_ref().map(RoomCall::snapshot);
        if let Some(active) = &mut self.active {
            if snapshot.current.as_ref().is_some_and(|current| current.stage == StageName::Answered) {
                active.milestones.answered(active.media.clock.now());
            }
            let before = sent_there(&self.told, self.told_room.as_ref());
            if before != sent_there(&snapshot, room.as_ref()) {
                active.media.pictures_pause();
            }
        }
        if without_time(&self.told) != without_time(&snapshot) {
            self.told = snapshot.clone();
            self.tell(CallsEvent::Changed(Box::new(snapshot))).await;
        }
        if self.told_room != room {
            self.told_room.clone_from(&room);
            if let Some(room) = room {
                self.tell(CallsEvent::Room(Box::new(room))).await;
            }
        }
    }

    async fn tell(&mut self, event: CallsEvent) {
        // Nobody listens any more when the program ends.
        let _ = self.events.send(event).await;
    }
}

/// What the others send, as they say.
fn sent_there(calls: &CallSnapshot, room: Option<&RoomCallSnapshot>) -> Vec<(bool, Option<bool>)> {
    let of_call = calls.current.iter().flat_map(|current| &current.legs);
    let of_room = room.into_iter().flat_map(|room| &room.legs);
    let sends = |media: MediaState| media.camera && !media.paused;
    of_call.chain(of_room).map(|leg| (leg.held, leg.media.map(sends))).collect()
}

/// The snapshot without what passes by itself.
fn without_time(snapshot: &CallSnapshot) -> CallSnapshot {
    let mut snapshot = snapshot.clone();
    if let Some(current) = &mut snapshot.current {
        current.answered_for = None;
    }
    snapshot
}

async fn changed_beside(beside: &mut Option<Beside>) {
    match beside {
        Some(beside) => beside.changed().await,
        None => std::future::pending().await,
    }
}

async fn wait_for<T>(task: &mut Option<JoinHandle<T>>) -> Option<T> {
    match task {
        Some(task) => task.await.ok(),
        None => None,
    }
}
