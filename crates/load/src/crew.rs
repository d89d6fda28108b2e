//! A server, its users, and their rooms: what every scenario begins with.

use std::time::Duration;

use ahoy_signal::{ClientMessage, Name, RoomId, RoomSettings};

use crate::accounts::{self, Account};
use crate::client::{Awaited, Opening, Seat};
use crate::cores::Cores;
use crate::error::LoadError;
use crate::fleet::{Dialect, Fleet};
use crate::ledger::Members;
use crate::target::Target;

/// Connections that are opened at once while nothing is measured.
const OPENING: usize = 50;
/// Rooms that are made at once.
const MAKING: usize = 8;
/// How long setting up may take: of each step, for all users together.
const LIMIT: Duration = Duration::from_secs(120);

/// Everybody, connected and in their rooms.
pub(crate) struct Crew {
    // Before the server, so that connections end first.
    pub(crate) fleet: Fleet,
    pub(crate) target: Target,
    /// Accounts that are not connected yet.
    pub(crate) spare: Vec<Account>,
}

/// Whom to bring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manifest {
    pub(crate) users: usize,
    /// Users in a room, at most [`Members::MOST`].
    pub(crate) room_size: usize,
    /// Accounts beside, of the normal class.
    pub(crate) spare: usize,
    /// Whether users are of the class of partners.
    pub(crate) partners: bool,
    /// Whether they enter rooms.
    pub(crate) in_rooms: bool,
    /// A user who reads with as little room as possible.
    pub(crate) little_room: Option<usize>,
}

impl Manifest {
    /// Partners in rooms.
    pub(crate) fn new(users: usize, room_size: usize) -> Self {
        let room_size = room_size.clamp(1, Members::MOST);
        Self { users, room_size, spare: 0, partners: true, in_rooms: true, little_room: None }
    }
}

impl Crew {
    /// Starts a server and brings everybody in.
    pub(crate) fn bring(dialect: Dialect, cores: Cores, manifest: Manifest) -> Result<Self, LoadError> {
        let mut crew = Self::waiting(dialect, cores, manifest)?;
        crew.come(manifest)?;
        Ok(crew)
    }

    /// Starts a server and signs everybody up, but connects nobody.
    pub(crate) fn waiting(dialect: Dialect, cores: Cores, manifest: Manifest) -> Result<Self, LoadError> {
        let target = Target::start(dialect, cores)?;
        let fleet = Fleet::new(target.address, dialect)?;
        let mut accounts = Vec::new();
        if dialect == Dialect::Ahoy {
            accounts = accounts::sign_up(&target, 0..manifest.users, manifest.partners)?;
            let numbers = manifest.users..manifest.users + manifest.spare;
            accounts.extend(accounts::sign_up(&target, numbers, false)?);
        }
        Ok(Self { fleet, target, spare: accounts })
    }

    /// Connects everybody who waits and brings them into their rooms.
    pub(crate) fn come(&mut self, manifest: Manifest) -> Result<(), LoadError> {
        let Manifest { users, room_size, .. } = manifest;
        let mut tokens = self.spare.drain(..users.min(self.spare.len()));
        let fleet = &mut self.fleet;
        let failed = |fleet: &Fleet| fleet.faults.len();
        for number in 0..users {
            let user = fleet.add(Seat { room: number / room_size, member: number % room_size });
            let opening = tokens.next().map_or(Opening::Nothing, |account| Opening::Hello(account.access));
            fleet.connect(user, opening, manifest.little_room == Some(user))?;
            fleet.until("connecting", LIMIT, |fleet| user < fleet.ready() + failed(fleet) + OPENING)?;
        }
        drop(tokens);
        fleet.until("connecting", LIMIT, |fleet| users <= fleet.ready() + failed(fleet))?;
        if !manifest.in_rooms {
            return Ok(());
        }
        if self.target.dialect == Dialect::Hub {
            // The hub knows rooms by the path; the id only makes the messages as long as ours.
            for user in 0..users {
                fleet.set_room(user, RoomId::from_bits(u128::MAX));
                fleet.count_on(user);
            }
            return Ok(());
        }
        let hosts: Vec<usize> = (0..users).step_by(room_size).collect();
        let made =
            |fleet: &Fleet, hosts: &[usize]| hosts.iter().all(|host| fleet.client(*host).room.is_some());
        for (number, host) in hosts.iter().enumerate() {
            let name = Name::new(format!("Room {number}"));
            let name = name.map_err(|error| LoadError::Server(format!("has no room: {error}")))?;
            // One more than its members: for a guest of the scenario.
            let capacity = u16::try_from(room_size + 1).unwrap_or(u16::MAX).max(2);
            let settings = RoomSettings { capacity, ..RoomSettings::default() };
            fleet.ask(*host, ClientMessage::RoomCreate { name, settings }, Awaited::Room)?;
            // The server does only so much with its store at once, and refuses more.
            let behind = number.saturating_sub(MAKING);
            fleet.until("making rooms", LIMIT, |fleet| made(fleet, &hosts[..behind]))?;
        }
        fleet.until("making rooms", LIMIT, |fleet| made(fleet, &hosts))?;
        for user in 0..users {
            let host = user / room_size * room_size;
            if user != host
                && let Some(room) = fleet.client(host).room
            {
                fleet.set_room(user, room);
            }
            fleet.ask(user, ClientMessage::Join { since: None }, Awaited::Entry)?;
            fleet.until("entering rooms", LIMIT, |fleet| user < fleet.entered() + OPENING)?;
        }
        fleet.until("entering rooms", LIMIT, |fleet| fleet.entered() >= users)?;
        (0..users).for_each(|user| fleet.count_on(user));
        Ok(())
    }
}
