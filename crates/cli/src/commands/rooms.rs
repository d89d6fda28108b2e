//! `ahoy-cli rooms`.

use ahoy_client::account::SignedIn;
use ahoy_client::signaling::Signaling;
use ahoy_signal::account::{Invite, NewInvite};
use ahoy_signal::{InviteId, Role, RoomInfo, RoomSettings, RoomSettingsChange};
use anyhow::Result;
use serde_json::json;

use super::{connect, json_line, print_line};
use crate::Outcome;
use crate::args::{
    OnOff, RoomChangeArgs, RoomCreateArgs, RoomInviteArgs, RoomsArgs, RoomsCommand, SessionArgs,
};
use crate::event_lines::room_words;

pub(crate) async fn run(args: RoomsArgs) -> Result<Outcome> {
    let session = match &args.command {
        RoomsCommand::List { session }
        | RoomsCommand::Delete { session, .. }
        | RoomsCommand::Invites { session, .. }
        | RoomsCommand::Revoke { session, .. } => session.clone(),
        RoomsCommand::Create(args) => args.session.clone(),
        RoomsCommand::Change(args) => args.session.clone(),
        RoomsCommand::Invite(args) => args.session.clone(),
    };
    let (_, signed_in) = connect::signed_in(&session).await?;
    if let RoomsCommand::Revoke { invite, .. } = args.command {
        return revoke(&signed_in, invite, session.json).await.map(|()| Outcome::Good);
    }
    let (signaling, events) = connect::online(&signed_in, connect::SHORT_PATIENCE).await?;
    let done = act(args.command, &signed_in, &signaling, &session).await;
    connect::end(&signaling, events).await;
    done.map(|()| Outcome::Good)
}

async fn act(
    command: RoomsCommand,
    signed_in: &SignedIn,
    signaling: &Signaling,
    session: &SessionArgs,
) -> Result<()> {
    match command {
        RoomsCommand::List { .. } => {
            let rooms = signaling.rooms().await?;
            if rooms.is_empty() && !session.json {
                print_line("No rooms yet: ahoy-cli rooms create NAME makes one.")?;
            }
            rooms.iter().try_for_each(|room| show(room, session.json))
        }
        RoomsCommand::Create(args) => create(args, signaling).await,
        RoomsCommand::Change(args) => change(args, signaling).await,
        RoomsCommand::Delete { room, .. } => {
            let id = connect::find_room(&room, session, signaling).await?;
            signaling.delete_room(id).await?;
            match session.json {
                true => json_line(&json!({"type": "room_deleted", "room": id})),
                false => print_line("The room is deleted."),
            }
        }
        RoomsCommand::Invite(args) => invite(args, signed_in, signaling).await,
        RoomsCommand::Invites { room, .. } => {
            let id = connect::find_room(&room, session, signaling).await?;
            let invites = signed_in.invites(id).await?;
            if invites.is_empty() && !session.json {
                print_line("No invite links: ahoy-cli rooms invite ROOM makes one.")?;
            }
            invites.iter().try_for_each(|invite| show_invite(invite, session.json))
        }
        RoomsCommand::Revoke { invite, .. } => revoke(signed_in, invite, session.json).await,
    }
}

fn show(room: &RoomInfo, json: bool) -> Result<()> {
    if json { json_line(&json!({"type": "room", "room": room})) } else { print_line(&room_words(room)) }
}

async fn create(args: RoomCreateArgs, signaling: &Signaling) -> Result<()> {
    let settings =
        RoomSettings { capacity: args.capacity, waiting_room: args.waiting_room, ..RoomSettings::default() };
    let room = signaling.create_room(args.name, settings).await?;
    show(&room, args.session.json)
}

async fn change(args: RoomChangeArgs, signaling: &Signaling) -> Result<()> {
    let id = connect::find_room(&args.room, &args.session, signaling).await?;
    let on = |switch: OnOff| switch == OnOff::On;
    let change = RoomSettingsChange {
        name: args.name,
        capacity: args.capacity,
        waiting_room: args.waiting_room.map(on),
        locked: args.locked.map(on),
    };
    signaling.change_room(id, change).await?;
    match args.session.json {
        true => json_line(&json!({"type": "room_changed", "room": id})),
        false => print_line("The room is changed."),
    }
}

async fn invite(args: RoomInviteArgs, signed_in: &SignedIn, signaling: &Signaling) -> Result<()> {
    let room = connect::find_room(&args.room, &args.session, signaling).await?;
    let role = if args.no_waiting { Role::Member } else { Role::Guest };
    let wanted = NewInvite { room, lifetime_s: Some(args.hours * 3600), uses: args.uses, role };
    let invite = signed_in.invite(&wanted).await?;
    match (&invite.link, args.session.json) {
        (Some(link), false) => print_line(link),
        (_, _) => show_invite(&invite, args.session.json),
    }
}

fn show_invite(invite: &Invite, json: bool) -> Result<()> {
    if json {
        return json_line(&json!({"type": "invite", "invite": invite}));
    }
    print_line(&format!("{}  for {} more people", invite.invite, invite.uses_left))
}

async fn revoke(signed_in: &SignedIn, invite: InviteId, json: bool) -> Result<()> {
    signed_in.revoke_invite(invite).await?;
    match json {
        true => json_line(&json!({"type": "invite_revoked", "invite": invite})),
        false => print_line("The link is useless now."),
    }
}
