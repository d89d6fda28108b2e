//! One user after the other sends as much as it can, also when it is told that its connection is over.

use std::time::Instant;

use ahoy_signal::ClientMessage;

use super::Setting;
use crate::client::{Awaited, Opening, Seat};
use crate::crew::{Crew, Manifest};
use crate::drive::{alone, drive};
use crate::error::LoadError;
use crate::fleet::Fleet;
use crate::report::Report;

/// Users who flood, each when the one before has been shut out.
const FLOODERS: usize = 10;
const WARM_UP_S: u64 = 1;

pub(super) fn run(setting: &Setting, seconds: u64, rate: f64) -> Result<Report, LoadError> {
    let rooms = setting.users.div_ceil(setting.room_size);
    let flooders = FLOODERS.min(rooms);
    let manifest = Manifest { spare: flooders, ..setting.manifest() };
    let mut crew = Crew::bring(setting.dialect(), setting.cores, manifest)?;
    let waiting = enter(&mut crew, flooders)?;
    let Crew { mut fleet, target, .. } = crew;
    let mut report = setting.report("flood");
    let load = setting.load(setting.rate, WARM_UP_S, seconds);
    let without = drive(&mut fleet, &target, load, alone)?;
    let mut flood =
        Flood { waiting, current: None, rate, first_refused_s: None, first_ended_s: None, shut_out: 0 };
    let with = drive(&mut fleet, &target, load, |fleet, now| flood.go_on(fleet, now))?;
    with.report(&mut report);
    report.add("delivery_p99_without_ms", "ms", without.account.delivery_ms.p99);
    report.add("delivery_p50_without_ms", "ms", without.account.delivery_ms.p50);
    report.add("p99_ratio", "", with.account.delivery_ms.p99 / without.account.delivery_ms.p99);
    report.add("flood_sent", "", fleet.flooded.sent as f64);
    report.add("flood_accepted", "", fleet.flooded.accepted as f64);
    report.add("flood_refused", "", fleet.flooded.refused as f64);
    report.add("flooders_closed", "", flood.shut_out as f64);
    report.add("first_closed_after_s", "s", flood.first_refused_s.unwrap_or(f64::NAN));
    report.add("first_ended_after_s", "s", flood.first_ended_s.unwrap_or(f64::NAN));
    if let Some(why) = without.spoiled() {
        report.spoil(format!("without the flood, {why}"));
    }
    report.faults.append(&mut fleet.faults);
    Ok(report)
}

/// Brings the flooders in, each into another room.
fn enter(crew: &mut Crew, flooders: usize) -> Result<Vec<usize>, LoadError> {
    let Crew { fleet, spare, .. } = crew;
    let limit = std::time::Duration::from_secs(30);
    let mut users = Vec::new();
    for (room, account) in spare.drain(..flooders).enumerate() {
        let host =
            (0..).find(|user| fleet.client(*user).seat == Seat { room, member: 0 }).unwrap_or_default();
        let user = fleet.add(Seat { room, member: crate::ledger::Members::MOST - 1 });
        let ready = fleet.ready();
        fleet.connect(user, Opening::Hello(account.access), false)?;
        fleet.until("connecting flooders", limit, |fleet| fleet.ready() > ready)?;
        if let Some(room) = fleet.client(host).room {
            fleet.set_room(user, room);
        }
        let entered = fleet.entered();
        fleet.ask(user, ClientMessage::Join { since: None }, Awaited::Entry)?;
        fleet.until("bringing flooders in", limit, |fleet| fleet.entered() > entered)?;
        users.push(user);
    }
    users.reverse();
    Ok(users)
}

/// The flood as it goes on.
#[derive(Debug)]
struct Flood {
    /// The next is the last.
    waiting: Vec<usize>,
    current: Option<(usize, Instant, u64)>,
    rate: f64,
    /// After which time the first was told that its connection is over.
    first_refused_s: Option<f64>,
    /// After which time it was.
    first_ended_s: Option<f64>,
    /// Connections that ended.
    shut_out: u64,
}

impl Flood {
    fn go_on(&mut self, fleet: &mut Fleet, now: Instant) -> Result<(), LoadError> {
        if let Some((user, since, _)) = self.current {
            let after_s = (now - since).as_secs_f64();
            if !fleet.client(user).is_ready() {
                self.first_refused_s.get_or_insert(after_s);
            }
            if !fleet.is_connected(user) {
                self.first_ended_s.get_or_insert(after_s);
                self.shut_out += 1;
                self.current = None;
            }
        }
        if self.current.is_none() {
            self.current = self.waiting.pop().map(|user| (user, now, 0));
        }
        let Some((user, since, sent)) = &mut self.current else { return Ok(()) };
        let due = ((now - *since).as_secs_f64() * self.rate) as u64;
        while *sent < due && fleet.is_connected(*user) {
            *sent += 1;
            fleet.flood(*user)?;
        }
        Ok(())
    }
}
