//! What is live between people: contacts, rooms, chat, calls. Window and command line use it alike.

mod event;

use std::time::Duration;

use ahoy_signal::{
    CallSummary, ChatText, ClientInfo, ClientMessage, Contact, Handle, IceServer, InboxEntry, MessageId,
    MessageMark, Name, ParticipantId, Refusal, Role, RoomId, RoomInfo, RoomSettings, RoomSettingsChange,
    ServerMessage, StateEntry, UserId,
};
pub use ahoy_signal_client::RoomView;
pub use ahoy_signal_client::session::{EndReason, RequestError, Trouble};
use ahoy_signal_client::{Client, ClientEvent, ClientOptions, PostId, Trust, TrustError};
use tokio::sync::mpsc;

pub(crate) use self::event::told;
pub use self::event::{RoomEvent, SignalingEvent};
use crate::account::{AccountError, SignedIn};

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum SignalingError {
    /// One is not signed in, or the server can't be reached.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// Certificates can't be checked.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The server could not be reached for too long.
    #[error("there is no connection to the server: {0}")]
    GaveUp(Trouble),
    /// The session is over.
    #[error(transparent)]
    Ended(#[from] EndReason),
    /// The server does not do it, or whether it did is not known.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The server answers with something else.
    #[error("the server's answer makes no sense to this version: update the older side")]
    Garbled,
    /// None of one's contacts has this handle.
    #[error("{handle} is none of your contacts")]
    NoSuchContact {
        /// Whom was asked for.
        handle: Handle,
    },
}

impl SignalingError {
    /// What the server says, where it refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Request(RequestError::Refused(refusal)) => Some(refusal),
            Self::Account(error) => error.refusal(),
            Self::Trust(_)
            | Self::GaveUp(_)
            | Self::Ended(_)
            | Self::Request(_)
            | Self::Garbled
            | Self::NoSuchContact { .. } => None,
        }
    }
}

/// A session with a server. It outlives its connections, and ends when the last clone of this is dropped.
#[derive(Clone, Debug)]
pub struct Signaling {
    client: Client,
    trust: Trust,
}

/// What happens. Take events as they come: while many wait, nothing more is read from the server.
#[derive(Debug)]
pub struct SignalingEvents {
    events: mpsc::Receiver<ClientEvent>,
    /// Calls that the session which began last knew of, until somebody takes them.
    calls: Vec<CallSummary>,
}

impl SignalingEvents {
    /// The next event; `None` when the session is over and everything was told.
    pub async fn next(&mut self) -> Option<SignalingEvent> {
        loop {
            let event = self.next_of_session().await?;
            if let Some(event) = told(event) {
                return Some(event);
            }
        }
    }

    /// The next event with all that calls need.
    pub(crate) async fn next_of_session(&mut self) -> Option<ClientEvent> {
        let event = self.events.recv().await?;
        if let ClientEvent::Began(welcome) = &event {
            self.calls.clone_from(&welcome.calls);
        }
        Some(event)
    }

    /// Calls that the server knew of when the session began.
    pub(crate) fn take_calls(&mut self) -> Vec<CallSummary> {
        std::mem::take(&mut self.calls)
    }
}

impl Signaling {
    /// Begins to connect, and says by events how it goes. Gives up visibly after `patience` without success.
    ///
    /// # Errors
    /// [`SignalingError::Trust`].
    pub fn start(
        signed_in: &SignedIn,
        client: ClientInfo,
        patience: Duration,
    ) -> Result<(Self, SignalingEvents), SignalingError> {
        let (client, events) = Client::start(ClientOptions {
            client,
            patience,
            trust: signed_in.trust().clone(),
            tokens: signed_in.tokens().clone(),
        })?;
        let trust = signed_in.trust().clone();
        Ok((Self { client, trust }, SignalingEvents { events, calls: Vec::new() }))
    }

    /// Connects, and waits until one is online. A server that can't be reached at all is an error at once.
    ///
    /// # Errors
    /// [`SignalingError`].
    pub async fn connect(
        signed_in: &SignedIn,
        client: ClientInfo,
        patience: Duration,
    ) -> Result<(Self, SignalingEvents), SignalingError> {
        signed_in.tokens().for_http().await.map_err(|error| signed_in.told(error))?;
        let (signaling, mut events) = Self::start(signed_in, client, patience)?;
        while let Some(event) = events.next().await {
            match event {
                SignalingEvent::Online { .. } => return Ok((signaling, events)),
                SignalingEvent::GaveUp(trouble) => return Err(SignalingError::GaveUp(trouble)),
                SignalingEvent::Ended(EndReason::SignedOut) => {
                    let server = signed_in.server().to_string();
                    return Err(AccountError::SignedOut { server }.into());
                }
                SignalingEvent::Ended(reason) => return Err(reason.into()),
                SignalingEvent::Offline { .. }
                | SignalingEvent::Room { .. }
                | SignalingEvent::Contact(_)
                | SignalingEvent::ContactGone(_)
                | SignalingEvent::Inbox(_)
                | SignalingEvent::CallIncoming { .. }
                | SignalingEvent::CallAnswered { .. }
                | SignalingEvent::CallEnded { .. } => {}
            }
        }
        Err(EndReason::Left.into())
    }

    /// Whose certificates are believed.
    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Asks the server without waiting for the answer.
    pub(crate) async fn post(
        &self,
        room: Option<RoomId>,
        body: ClientMessage,
        id: PostId,
    ) -> Result<(), RequestError> {
        self.client.post(room, body, id).await
    }

    /// Leaves a room without waiting for the answer.
    pub(crate) async fn post_leave(&self, room: RoomId, id: PostId) -> Result<(), RequestError> {
        self.client.post_leave(room, id).await
    }

    async fn ask(&self, room: Option<RoomId>, body: ClientMessage) -> Result<ServerMessage, SignalingError> {
        Ok(self.client.ask(room, body).await?.body)
    }

    async fn done(&self, room: Option<RoomId>, body: ClientMessage) -> Result<(), SignalingError> {
        self.ask(room, body).await.map(|_| ())
    }

    /// The servers that help two sides reach each other.
    pub(crate) async fn ice_servers(&self) -> Result<Vec<IceServer>, SignalingError> {
        match self.ask(None, ClientMessage::IceServers {}).await? {
            ServerMessage::IceServers { servers, .. } => Ok(servers),
            _ => Err(SignalingError::Garbled),
        }
    }

    /// All contacts, in the order of their names.
    ///
    /// # Errors
    /// [`SignalingError`], as with everything here.
    pub async fn contacts(&self) -> Result<Vec<Contact>, SignalingError> {
        match self.ask(None, ClientMessage::Contacts {}).await? {
            ServerMessage::Contacts { contacts } => Ok(contacts),
            _ => Err(SignalingError::Garbled),
        }
    }

    /// Asks someone to become a contact, or agrees where they have asked.
    ///
    /// # Errors
    /// [`SignalingError`].
    pub async fn add_contact(&self, handle: Handle) -> Result<Contact, SignalingError> {
        self.contact(ClientMessage::ContactAdd { handle }).await
    }

    /// Ends a contact, declines, or lifts a block.
    ///
    /// # Errors
    /// [`SignalingError`].
    pub async fn remove_contact(&self, handle: &Handle) -> Result<(), SignalingError> {
        let user = self.find(handle).await?;
        self.done(None, ClientMessage::ContactRemove { user }).await
    }

    /// Wants to hear no more of someone.
    ///
    /// # Errors
    /// [`SignalingError`].
    pub async fn block_contact(&self, handle: &Handle) -> Result<Contact, SignalingError> {
        let user = self.find(handle).await?;
        self.contact(ClientMessage::ContactBlock { user }).await
    }

    async fn contact(&self, body: ClientMessage) -> Result<Contact, SignalingError> {
        match self.ask(None, body).await? {
            ServerMessage::Contact { contact } => Ok(contact),
            _ => Err(SignalingError::Garbled),
        }
    }

    async fn find(&self, handle: &Handle) -> Result<UserId, SignalingError> {
        Ok(self.find_contact(handle).await?.user)
    }

    /// The contact with this handle.
    ///
    /// # Errors
    /// [`SignalingError::NoSuchContact`].
    pub async fn find_contact(&self, handle: &Handle) -> Result<Contact, SignalingError> {
        let contacts = self.contacts().await?;
        let found = contacts.into_iter().find(|contact| contact.handle == *handle);
        found.ok_or_else(|| SignalingError::NoSuchContact { handle: handle.clone() })
    }

    /// What came into one's inbox after an entry, as much as one answer holds, and the number of the newest.
    ///
    /// # Errors
    /// [`SignalingError`].
    pub async fn inbox(&self, after: u64) -> Result<(Vec<InboxEntry>, u64), SignalingError> {
        match self.ask(None, ClientMessage::Inbox { after }).await? {
            ServerMessage::Inbox { entries, last } => Ok((entries, last)),
            _ => Err(SignalingError::Garbled),
        }
    }

    /// Writes to a contact. Returns the message as it lies in one's own inbox.
    ///
    /// # Errors
    /// [`SignalingError`].
    pub async fn message(
        &self,
        message: MessageId,
        to: UserId,
        text: ChatText,
    ) -> Result<InboxEntry, SignalingError> {
        match self.ask(None, ClientMessage::Message { message, to, text }).await? {
            ServerMessage::InboxEntry { entry } => Ok(entry),
            _ => Err(SignalingError::Garbled),
        }
    }

    /// Tells a contact how far their messages have come, up to one.
    ///
    /// # Errors
    /// [`SignalingError`].
    pub async fn mark_message(&self, message: MessageId, mark: MessageMark) -> Result<(), SignalingError> {
        self.done(None, ClientMessage::MessageMark { message, mark }).await
    }

    /// One's rooms, in the order of their names.
    ///
    /// # Errors
    /// [`SignalingError`].
    pub async fn rooms(&self) -> Result<Vec<RoomInfo>, SignalingError> {
        match self.ask(None, ClientMessage::Rooms {}).await? {
            ServerMessage::Rooms { rooms } => Ok(rooms),
            _ => Err(SignalingError::Garbled),
        }
    }

    /// Makes a room whose host one is.
    ///
    /// # Errors
    /// [`SignalingError`].
    pub async fn create_room(&self, name: Name, settings: RoomSettings) -> Result<RoomInfo, SignalingError> {
        match self.ask(None, ClientMessage::RoomCreate { name, settings }).await? {
            ServerMessage::Room { room } => Ok(room),
            _ => Err(SignalingError::Garbled),
        }
    }

    /// Changes a room.
    ///
    /// # Errors
    /// [`SignalingError`].
    pub async fn change_room(&self, room: RoomId, change: RoomSettingsChange) -> Result<(), SignalingError> {
        self.done(Some(room), ClientMessage::RoomChange { change }).await
    }

    /// Deletes a room.
    ///
    /// # Errors
    /// [`SignalingError`].
    pub async fn delete_room(&self, room: RoomId) -> Result<(), SignalingError> {
        self.done(Some(room), ClientMessage::RoomDelete {}).await
    }

    /// Enters a room and stays in it until one leaves or is made to. Events tell how it goes.
    pub async fn join(&self, room: RoomId) {
        self.client.join(room).await;
    }

    /// Leaves a room.
    ///
    /// # Errors
    /// [`SignalingError`].
    pub async fn leave(&self, room: RoomId) -> Result<(), SignalingError> {
        Ok(self.client.leave(room).await?)
    }

    /// A room that was joined, as it is now.
    pub async fn room(&self, room: RoomId) -> Option<RoomView> {
        self.client.room(room).await
    }

    /// Says something to everybody in a room.
    ///
    /// # Errors
    /// [`SignalingError`].
    pub async fn chat(&self, room: RoomId, text: ChatText) -> Result<(), SignalingError> {
        self.done(Some(room), ClientMessage::Chat { text }).await
    }

    /// Tells a room something about oneself, also after one had to enter it again.
    ///
    /// # Errors
    /// [`SignalingError`].
    pub async fn say(&self, room: RoomId, entry: StateEntry) -> Result<(), SignalingError> {
        Ok(self.client.say(room, entry).await?)
    }

    /// Lets someone into a room who waits.
    ///
    /// # Errors
    /// [`SignalingError`].
    pub async fn admit(&self, room: RoomId, participant: ParticipantId) -> Result<(), SignalingError> {
        self.done(Some(room), ClientMessage::Admit { participant }).await
    }

    /// Turns away who waits, or removes someone.
    ///
    /// # Errors
    /// [`SignalingError`].
    pub async fn remove(&self, room: RoomId, participant: ParticipantId) -> Result<(), SignalingError> {
        self.done(Some(room), ClientMessage::Remove { participant }).await
    }

    /// Asks someone to mute themselves.
    ///
    /// # Errors
    /// [`SignalingError`].
    pub async fn mute(&self, room: RoomId, participant: ParticipantId) -> Result<(), SignalingError> {
        self.done(Some(room), ClientMessage::Mute { participant }).await
    }

    /// Gives someone another role.
    ///
    /// # Errors
    /// [`SignalingError`].
    pub async fn set_role(
        &self,
        room: RoomId,
        participant: ParticipantId,
        role: Role,
    ) -> Result<(), SignalingError> {
        self.done(Some(room), ClientMessage::SetRole { participant, role }).await
    }

    /// Tries to connect now, also after having given up.
    pub async fn retry(&self) {
        self.client.retry().await;
    }

    /// Ends the session in good order. [`SignalingEvent::Ended`] follows.
    pub async fn end(&self) {
        self.client.end().await;
    }
}
