//! What comes from the server: counted, and answered where that is a client's part.

use std::time::Instant;

use ahoy_signal::{ClientEnvelope, ClientInfo, ClientMessage, Position, ServerMessage};
use rand::Rng as _;

use super::{ACCEPT, Broken, Dialect, Fleet, HEARTBEAT, read};
use crate::client::{Awaited, Opening, Stage};
use crate::frame::{self, Frame};
use crate::glance::{self, Glance};
use crate::link::Link;

impl Fleet {
    /// Takes all that is whole in `bytes`, and returns its length.
    pub(super) fn take(
        &mut self,
        user: usize,
        link: &mut Link,
        bytes: &[u8],
        now: Instant,
    ) -> Result<usize, Broken> {
        let mut taken = 0;
        if matches!(self.clients[user].stage, Stage::Upgrading(_)) {
            let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else { return Ok(0) };
            taken = end + 4;
            let head = String::from_utf8_lossy(&bytes[..end]);
            if !head.starts_with("HTTP/1.1 101 ") || !head.contains(ACCEPT) {
                return Err(Broken::Upgrade(head.lines().next().unwrap_or_default().to_owned()));
            }
            self.greet(user, link, now)?;
        }
        while let Some((frame, length)) = frame::read(&bytes[taken..])? {
            match frame {
                Frame::Text(text) => self.take_text(user, text, now)?,
                Frame::Ping(payload) => {
                    let mask = self.random.next_u32().to_ne_bytes();
                    link.send(|out| frame::write_pong(out, payload, mask))?;
                }
                Frame::Pong => {}
                Frame::Close(code) => {
                    let client = &mut self.clients[user];
                    self.ready -= usize::from(client.is_ready());
                    (client.stage, client.closed) = (Stage::Closing, Some(code));
                }
            }
            taken += length;
        }
        Ok(taken)
    }

    /// Says who the user is, over what has just become a WebSocket.
    fn greet(&mut self, user: usize, link: &mut Link, now: Instant) -> Result<(), Broken> {
        let client = &mut self.clients[user];
        let Stage::Upgrading(opening) = std::mem::replace(&mut client.stage, Stage::Greeting) else {
            return Ok(());
        };
        let body = match opening {
            Opening::Nothing => {
                self.is_ready(user, now);
                return Ok(());
            }
            Opening::Hello(token) => {
                let info = ClientInfo { name: "ahoy-load".into(), version: env!("CARGO_PKG_VERSION").into() };
                (client.requests, client.seq) = (0, 0);
                ClientMessage::Hello { token, client: info }
            }
            Opening::Resume => {
                let (session, resume_token) = client.session.clone().ok_or(Broken::NoSession)?;
                ClientMessage::Resume { session, resume_token, seq: client.seq }
            }
        };
        let mask = self.random.next_u32().to_ne_bytes();
        let text = ClientEnvelope::new(body).to_json();
        Ok(link.send(|out| frame::write_text(out, text.as_bytes(), mask))?)
    }

    fn is_ready(&mut self, user: usize, now: Instant) {
        let client = &mut self.clients[user];
        client.stage = Stage::Ready;
        self.ready += 1;
        if self.dialect == Dialect::Ahoy && !client.beats {
            client.beats = true;
            self.beats.push_back((now + HEARTBEAT, user));
        }
    }

    fn take_text(&mut self, user: usize, text: &[u8], now: Instant) -> Result<(), Broken> {
        let client = &mut self.clients[user];
        if matches!(client.stage, Stage::Greeting) {
            match read(text)?.body {
                ServerMessage::Welcome(welcome) => {
                    client.session = Some((welcome.session, welcome.resume_token))
                }
                ServerMessage::Resumed { resume_token, .. } => {
                    client.session = client.session.take().map(|(session, _)| (session, resume_token));
                }
                other => return Err(Broken::Refused(format!("{other:?}"))),
            }
            self.is_ready(user, now);
            return Ok(());
        }
        if self.dialect == Dialect::Hub {
            self.take_from_hub(user, text, now);
            return Ok(());
        }
        match glance::glance(text) {
            Glance::Delta { offset, marker } => {
                if let Some(seen) = &mut client.seen
                    && offset > seen.offset
                {
                    self.gaps += u64::from(offset != seen.offset + 1);
                    seen.offset = offset;
                }
                if let Some(marker) = marker {
                    self.ledger.deliver(marker, client.seat.member, now);
                }
            }
            Glance::Answer { re, seq, refused } => {
                client.seq = seq.unwrap_or(client.seq);
                if let Some(awaited) = client.answered(re) {
                    self.take_answer(user, awaited, refused, text, now)?;
                }
            }
            Glance::Snapshot { offset } => {
                self.snapshots += 1;
                client.seen = client.seen.map(|seen| Position { offset, ..seen });
            }
            Glance::Other { seq } => client.seq = seq.unwrap_or(client.seq),
        }
        Ok(())
    }

    fn take_from_hub(&mut self, user: usize, text: &[u8], now: Instant) {
        let Some(marker) = glance::find_marker(text) else { return };
        let client = &mut self.clients[user];
        match client.awaited.iter().position(|(_, awaited)| *awaited == Awaited::Request(marker)) {
            Some(place) => {
                client.awaited.remove(place);
                self.ledger.answer(marker, None, now);
            }
            None => self.ledger.deliver(marker, client.seat.member, now),
        }
    }

    fn take_answer(
        &mut self,
        user: usize,
        awaited: Awaited,
        refused: bool,
        text: &[u8],
        now: Instant,
    ) -> Result<(), Broken> {
        match (awaited, refused) {
            (Awaited::Request(marker), false) => self.ledger.answer(marker, None, now),
            (Awaited::Request(marker), true) => {
                let code = match read(text)?.body {
                    ServerMessage::Error(refusal) => format!("{:?}", refusal.code),
                    other => format!("{other:?}"),
                };
                self.ledger.answer(marker, Some(&code), now);
            }
            (Awaited::Flood, false) => self.flooded.accepted += 1,
            (Awaited::Flood, true) => self.flooded.refused += 1,
            (Awaited::Room | Awaited::Entry, _) => {
                let envelope = read(text)?;
                match envelope.body {
                    ServerMessage::Room { room } => self.set_room(user, room.room),
                    ServerMessage::Joined { .. } => {
                        self.clients[user].seen = envelope.pos;
                        self.entered += 1;
                    }
                    other => self.faults.push(format!("user {user}: {other:?} instead of entry")),
                }
            }
        }
        Ok(())
    }
}
