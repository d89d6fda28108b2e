//! What a person does with other people: sign in, contacts, calls, messages.

use super::{CallsView, Credentials, Desk, DeskError, PeopleSnapshot, RecentCall, people};
use crate::history::{Conversation, Message};

impl Desk {
    /// Takes up the sign-in of the last time, if there is one.
    ///
    /// # Errors
    /// [`DeskError::Account`].
    pub async fn resume_sign_in(&self) -> Result<(), DeskError> {
        self.people.resume(self.calling()).await
    }

    /// Signs in, and stays so.
    ///
    /// # Errors
    /// [`DeskError`]; then one is signed in as before.
    pub async fn sign_in(&self, given: Credentials) -> Result<(), DeskError> {
        self.people.sign_in(given, self.calling()).await
    }

    /// Makes an account with one's name, and signs in. Returns the recovery codes, which are told once.
    ///
    /// # Errors
    /// [`DeskError`]; then one is signed in as before.
    pub async fn sign_up(&self, given: Credentials) -> Result<Vec<String>, DeskError> {
        let name = Some(self.settings().name).filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| given.handle.clone());
        self.people.sign_up(given, &name, self.calling()).await
    }

    /// Signs out, here and at the server.
    ///
    /// # Errors
    /// [`DeskError::Account`].
    pub async fn sign_out(&self) -> Result<(), DeskError> {
        // It was picked for somebody whom this account knows.
        self.forget_picked();
        self.people.sign_out().await
    }

    /// Tries to reach the server now.
    pub async fn reconnect(&self) {
        self.people.retry().await;
    }

    /// Who is signed in, and whom they know.
    pub fn people(&self) -> PeopleSnapshot {
        self.people.snapshot()
    }

    /// Calls with people.
    pub fn calls(&self) -> CallsView {
        self.people.calls()
    }

    /// Asks someone to become a contact, or agrees where they have asked.
    ///
    /// # Errors
    /// [`DeskError`], as with everything here.
    pub async fn add_contact(&self, handle: &str) -> Result<(), DeskError> {
        self.people.add_contact(handle).await
    }

    /// Ends a contact, declines, or lifts a block.
    ///
    /// # Errors
    /// [`DeskError`].
    pub async fn remove_contact(&self, handle: &str) -> Result<(), DeskError> {
        self.people.remove_contact(handle).await
    }

    /// Wants to hear no more of someone.
    ///
    /// # Errors
    /// [`DeskError`].
    pub async fn block_contact(&self, handle: &str) -> Result<(), DeskError> {
        self.people.block_contact(handle).await
    }

    /// Calls a contact.
    ///
    /// # Errors
    /// [`DeskError::Busy`] during a test call, [`DeskError::Call`] during another one.
    pub async fn call(&self, handle: &str, video: bool) -> Result<(), DeskError> {
        let peer = self.people.peer(handle)?;
        self.ready_for_call().await?;
        let media = people::media_of(video);
        self.people.begin_call(|calls| async move { calls.call(peer, media).await }).await??;
        Ok(())
    }

    /// Makes a call that others join by a link, also from a browser. `PersonCall`'s `link` has it.
    ///
    /// # Errors
    /// [`DeskError::Busy`] during a test call, [`DeskError::Call`] during another one.
    pub async fn start_link_call(&self, video: bool) -> Result<(), DeskError> {
        self.ready_for_call().await?;
        self.people.start_link_call(people::media_of(video)).await
    }

    /// Takes a call that rings. A call that one is in, also a test call, ends.
    ///
    /// # Errors
    /// [`DeskError`].
    pub async fn accept(&self, call: &str, video: bool) -> Result<(), DeskError> {
        let (call, media) = (people::call_id(call)?, people::media_of(video));
        // A person is more urgent than a test.
        if let Some(test) = self.call.lock().await.take() {
            test.hang_up().await;
        }
        self.people.hang_up_visit().await;
        self.stop_preview().await;
        Ok(self.people.with_calls(|calls| async move { calls.accept(call, media).await }).await??)
    }

    /// Declines a call that rings, at all of one's devices.
    ///
    /// # Errors
    /// [`DeskError`].
    pub async fn decline(&self, call: &str) -> Result<(), DeskError> {
        let call = people::call_id(call)?;
        Ok(self.people.with_calls(|calls| async move { calls.decline(call).await }).await??)
    }

    /// Everybody one has written with, the latest first.
    ///
    /// # Errors
    /// [`DeskError::NoHistory`], [`DeskError::History`], as with everything about messages and past calls.
    pub async fn conversations(&self) -> Result<Vec<Conversation>, DeskError> {
        self.people.conversations().await
    }

    /// The newest messages with somebody, oldest first; before one of them, if that is given.
    ///
    /// # Errors
    /// [`DeskError`].
    pub async fn messages(&self, with: &str, before: Option<&str>) -> Result<Vec<Message>, DeskError> {
        self.people.messages(with, before).await
    }

    /// Writes to a contact, who need not be there.
    ///
    /// # Errors
    /// [`DeskError`].
    pub async fn write_message(&self, with: &str, text: &str) -> Result<(), DeskError> {
        self.people.write_message(with, text).await
    }

    /// Tries again to send what the server did not take.
    ///
    /// # Errors
    /// [`DeskError`].
    pub async fn send_again(&self, message: &str) -> Result<(), DeskError> {
        self.people.send_again(message).await
    }

    /// One has seen all that somebody has written.
    ///
    /// # Errors
    /// [`DeskError`].
    pub async fn messages_seen(&self, with: &str) -> Result<(), DeskError> {
        self.people.messages_seen(with).await
    }

    /// The latest calls, the newest first.
    ///
    /// # Errors
    /// [`DeskError`].
    pub async fn recent_calls(&self) -> Result<Vec<RecentCall>, DeskError> {
        self.people.recent_calls().await
    }

    /// One has looked at the missed calls.
    ///
    /// # Errors
    /// [`DeskError`].
    pub async fn recent_calls_seen(&self) -> Result<(), DeskError> {
        self.people.recent_calls_seen().await
    }

    /// Puts the call on hold, or goes on.
    ///
    /// # Errors
    /// [`DeskError`].
    pub async fn set_held(&self, held: bool) -> Result<(), DeskError> {
        Ok(self.people.with_current(|calls| async move { calls.hold(held).await }).await??)
    }
}
