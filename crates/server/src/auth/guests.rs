//! Invites, and guests who come by them.

use ahoy_signal::account::{GuestSignIn, Invite, Invites, NewInvite, TokenGrant};
use ahoy_signal::{Action, ErrorCode, InviteId, Name, Refusal, Role, RoomId, UserId};

use super::accounts::Accounts;
use super::audit::{AuditEvent, Caller};
use super::token::{INVITE_LONGEST_S, InviteGrant, invite_invalid};
use crate::clock::unix_ms;
use crate::identity::Identity;
use crate::store::sql::{DeviceRow, GuestSeat, InviteRow, Redeemed};
use crate::store::{RoomStore, StoredRoom};

/// How long an invite is good unless whoever makes it says otherwise, in seconds.
const INVITE_DEFAULT_S: u32 = 24 * 3600;
/// Invites that a room can have at once.
const INVITES_MOST: u32 = 50;
/// People who can use one invite at most.
const USES_MOST: u32 = 1_000;

fn no_such_room() -> Refusal {
    Refusal::new(ErrorCode::NoSuchRoom, "There is no such room, or it is none of yours.")
}

/// What someone is in a room of which nothing but the record is known.
fn role_in(room: &StoredRoom, user: UserId) -> Role {
    match (room.host == user, room.moderators.contains(&user)) {
        (true, _) => Role::Host,
        (false, true) => Role::Moderator,
        (false, false) => Role::Member,
    }
}

impl Accounts {
    /// The room, if whoever asks may make and revoke its invites.
    async fn inviting(&self, who: &Identity, room: RoomId) -> Result<StoredRoom, Refusal> {
        let room = self.store.room(room).await?.ok_or_else(no_such_room)?;
        if who.handle.is_none() {
            return Err(no_such_room());
        }
        match role_in(&room, who.user).may(Action::Invite) {
            true => Ok(room),
            false => {
                Err(Refusal::new(ErrorCode::Forbidden, "Only the host and moderators make and see invites."))
            }
        }
    }

    /// Makes an invite link.
    ///
    /// # Errors
    /// `no_such_room`, `forbidden`, `bad_message` where a number makes no sense, `too_many` or `unavailable`.
    pub async fn invite(&self, who: &Identity, asked: NewInvite, caller: Caller) -> Result<Invite, Refusal> {
        let room = self.inviting(who, asked.room).await?;
        let lifetime_s = u64::from(asked.lifetime_s.unwrap_or(INVITE_DEFAULT_S));
        let uses = asked.uses.unwrap_or(u32::from(room.settings.capacity));
        let bad = |what: &str| Err(Refusal::new(ErrorCode::BadMessage, what));
        if !(60..=INVITE_LONGEST_S).contains(&lifetime_s) {
            return bad("lifetime_s: an invite is good for a minute at least and a week at most.");
        }
        if !(1..=USES_MOST).contains(&uses) {
            return bad("uses: an invite lets 1 to 1000 people in.");
        }
        match asked.role {
            Role::Guest | Role::Member => (),
            Role::Moderator | Role::Host => return bad("role: an invite makes guests or members."),
        }
        let now_ms = unix_ms();
        let row = InviteRow {
            invite: InviteId::from_bits(rand::random()),
            room: room.room,
            creator: who.user,
            role: asked.role,
            uses_left: uses,
            created_ms: now_ms,
            // Whole seconds, as the token has them.
            expires_ms: (now_ms / 1000 + lifetime_s) * 1000,
        };
        let grant = InviteGrant { invite: row.invite, room: row.room, role: row.role };
        let issuer = &self.authenticator.rules().issuer;
        let token = issuer.invite_token(&self.authenticator.keys(), &grant, row.expires_ms, now_ms)?;
        let audit = AuditEvent::InviteMade.row(who.user, Some(who.device), caller, now_ms);
        if !self.store.add_invite(&row, INVITES_MOST, &audit).await? {
            return Err(Refusal::new(
                ErrorCode::TooMany,
                "This room has as many invites as it can have: revoke one first.",
            ));
        }
        let server = self.rules.public_url.trim_end_matches('/');
        let link = format!("{server}/join/{}#{}", room.room, token.as_str());
        Ok(Invite { link: Some(link), token: Some(token), ..shown(row) })
    }

    /// The invites of a room that are good.
    ///
    /// # Errors
    /// `no_such_room`, `forbidden` or `unavailable`.
    pub async fn invites(&self, who: &Identity, room: RoomId) -> Result<Invites, Refusal> {
        let room = self.inviting(who, room).await?;
        let rows = self.store.invites_to(room.room, unix_ms()).await?;
        Ok(Invites { invites: rows.into_iter().map(shown).collect() })
    }

    /// Revokes an invite. Guests who came by it are signed out.
    ///
    /// # Errors
    /// `invite_invalid` where there is no such invite, `forbidden` or `unavailable`.
    pub async fn revoke_invite(
        &self,
        who: &Identity,
        invite: InviteId,
        caller: Caller,
    ) -> Result<(), Refusal> {
        let row = self.store.invite(invite).await?.ok_or_else(invite_invalid)?;
        self.inviting(who, row.room).await?;
        let audit = AuditEvent::InviteRevoked.row(who.user, Some(who.device), caller, unix_ms());
        let guests = self.store.revoke_invite(invite, &audit).await?.ok_or_else(invite_invalid)?;
        self.end_devices(&guests);
        Ok(())
    }

    /// Signs a guest in.
    ///
    /// # Errors
    /// `invite_invalid` or `unavailable`.
    pub async fn guest(&self, asked: GuestSignIn) -> Result<TokenGrant, Refusal> {
        let now_ms = unix_ms();
        let keys = self.authenticator.keys();
        let grant = self.authenticator.rules().issuer.check_invite(&keys, &asked.invite, now_ms)?;
        let row = self.store.invite(grant.invite).await?.ok_or_else(invite_invalid)?;
        if row.room != grant.room || self.store.room(row.room).await?.is_none() {
            return Err(invite_invalid());
        }
        let user = UserId::from_bits(rand::random());
        let name = Name::new("Invite link").unwrap_or_else(|_| asked.name.clone());
        let (token, device) = self.new_device(user, name, now_ms);
        let device = DeviceRow {
            expires_ms: row.expires_ms,
            guest: Some(GuestSeat { name: asked.name, invite: row.invite, room: row.room, role: grant.role }),
            ..device
        };
        match self.store.redeem(row.invite, &device).await? {
            Redeemed::Yes => self.grant_to_guest(&device, &token, now_ms),
            Redeemed::No => Err(invite_invalid()),
        }
    }
}

fn shown(row: InviteRow) -> Invite {
    Invite {
        invite: row.invite,
        room: row.room,
        link: None,
        token: None,
        expires_ms: row.expires_ms,
        uses_left: row.uses_left,
        role: row.role,
    }
}
