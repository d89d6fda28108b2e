//! Requests that have no answer yet.

use std::collections::VecDeque;

use ahoy_signal::{ClientMessage, RequestId, RoomId};

use super::{Request, RequestError, Tag};

/// Most requests that wait for an answer or for a connection; another one is refused. Nobody types as fast as that, and
/// programs that ask so much should wait for answers.
pub const OUTSTANDING_MOST: usize = 256;

/// Whose request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The one who uses the session.
    Caller(Tag),
    /// The session's own fresh token.
    Reauth,
    /// The session's own good-bye.
    Bye,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Absent while there is no session to number it in.
    id: Option<RequestId>,
    owner: Owner,
    pub(super) room: Option<RoomId>,
    pub(super) body: ClientMessage,
    /// Whether the server may have it.
    sent: bool,
}

/// The requests of a session, in order.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Whether requests get numbers: there is a session, and what must come first in it has come.
    numbering: bool,
    last_id: u64,
    entries: VecDeque<Entry>,
}

/// A request that will not be answered, and why.
pub(super) type Failed = (Owner, RequestError);

impl Ledger {
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= OUTSTANDING_MOST
    }

    pub(super) fn push(&mut self, owner: Owner, room: Option<RoomId>, body: ClientMessage) {
        let id = self.numbering.then(|| self.next_id());
        self.entries.push_back(Entry { id, owner, room, body, sent: false });
    }

    fn next_id(&mut self) -> RequestId {
        self.last_id += 1;
        RequestId(self.last_id)
    }

    /// A new session has begun: `first` come first, then all that wait.
    pub(super) fn begin(&mut self, first: Vec<Request>) {
        let first = first.into_iter().map(|request| Entry {
            id: None,
            owner: Owner::Caller(request.tag),
            room: request.room,
            body: request.body,
            sent: false,
        });
        let waiting = std::mem::take(&mut self.entries);
        self.last_id = 0;
        self.numbering = true;
        for mut entry in first.chain(waiting) {
            entry.id = Some(self.next_id());
            self.entries.push_back(entry);
        }
    }

    /// What has a number and was not sent on this connection, in order; they count as sent now.
    pub(super) fn take_unsent(&mut self) -> Vec<(RequestId, Option<RoomId>, ClientMessage)> {
        let unsent = self.entries.iter_mut().filter(|entry| !entry.sent);
        unsent
            .filter_map(|entry| {
                let id = entry.id?;
                entry.sent = true;
                Some((id, entry.room, entry.body.clone()))
            })
            .collect()
    }

    /// The session goes on: the server has all up to `last`, and not what comes after.
    pub(super) fn resume(&mut self, last: u64) {
        for entry in &mut self.entries {
            entry.sent = entry.id.is_some_and(|id| id.0 <= last);
        }
    }

    /// A request is answered.
    pub(super) fn answer(&mut self, id: RequestId) -> Option<Owner> {
        let place = self.entries.iter().position(|entry| entry.id == Some(id))?;
        self.entries.remove(place).map(|entry| entry.owner)
    }

    /// The session is lost. What the server may have done, or not, fails; what it can't have, and what can be asked twice,
    /// waits for the next session.
    pub(super) fn lose(&mut self) -> Vec<Failed> {
        self.numbering = false;
        let (stay, fail): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.entries)
            .into_iter()
            .filter(|entry| matches!(entry.owner, Owner::Caller(_)))
            .partition(|entry| !entry.sent || can_be_asked_twice(&entry.body));
        self.entries = stay;
        for entry in &mut self.entries {
            (entry.id, entry.sent) = (None, false);
        }
        fail.into_iter().map(|entry| (entry.owner, RequestError::OutcomeUnknown)).collect()
    }

    /// There will be no session.
    pub(super) fn fail_all(&mut self) -> Vec<Failed> {
        self.numbering = false;
        let why = |sent| if sent { RequestError::OutcomeUnknown } else { RequestError::NotConnected };
        self.entries.drain(..).map(|entry| (entry.owner, why(entry.sent))).collect()
    }
}

/// Whether a request has the same effect twice as once, also in another session.
fn can_be_asked_twice(body: &ClientMessage) -> bool {
    use ClientMessage as M;
    match body {
        M::Contacts {} | M::Rooms {} | M::Inbox { .. } | M::Join { .. } | M::IceServers {} => true,
        // A message has an id of its own, and marks only go on.
        M::Message { .. } | M::MessageMark { .. } => true,
        // In another session one is not in the room: whoever follows it joins again, which tells the same.
        M::Sync { .. } => false,
        M::Hello { .. }
        | M::Resume { .. }
        | M::Reauth { .. }
        | M::Ping {}
        | M::Bye {}
        | M::ContactAdd { .. }
        | M::ContactRemove { .. }
        | M::ContactBlock { .. }
        | M::RoomCreate { .. }
        | M::RoomChange { .. }
        | M::RoomDelete {}
        | M::Leave {}
        | M::Admit { .. }
        | M::Remove { .. }
        | M::SetRole { .. }
        | M::SetState { .. }
        | M::Mute { .. }
        | M::RoomSignal { .. }
        | M::Chat { .. }
        | M::Call { .. }
        | M::CallAccept { .. }
        | M::CallDecline { .. }
        | M::CallHangUp { .. }
        | M::CallSignal { .. }
        | M::Link { .. } => false,
    }
}
