//! What is asked about accounts, devices and invites: see `ahoy_signal::paths`.

use std::sync::Arc;

use ahoy_signal::account::{
    ChangePassword, Confirm, GuestSignIn, NewInvite, Recover, Refresh, SignIn, SignUp,
};
use ahoy_signal::{DeviceId, ErrorCode, InviteId, Refusal, RoomId, paths};
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde::Deserialize;

use super::HttpState;
use super::caller::{Known, Stranger};
use super::refusal::{Body, Refused, json};
use crate::auth::Caller;

type Shared = State<Arc<HttpState>>;
type Answer = Result<Response, Refused>;

pub(super) fn routes() -> Router<Arc<HttpState>> {
    Router::new()
        .route(paths::ACCOUNTS, post(sign_up))
        .route(paths::SESSIONS, post(sign_in))
        .route(paths::REFRESH, post(refresh))
        .route(paths::RECOVER, post(recover))
        .route(paths::CURRENT_SESSION, delete(sign_out))
        .route(paths::GUESTS, post(guest))
        .route(paths::DEVICES, get(devices))
        .route(&format!("{}/{{device}}", paths::DEVICES), delete(revoke_device))
        .route(paths::PASSWORD, post(change_password))
        .route(paths::RECOVERY_CODES, post(recovery_codes))
        .route(paths::AUDIT, get(audit))
        .route(paths::EXPORT, get(export))
        .route(paths::DELETE_ACCOUNT, post(delete_account))
        .route(paths::INVITES, post(invite).get(invites))
        .route(&format!("{}/{{invite}}", paths::INVITES), delete(revoke_invite))
}

fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

async fn sign_up(State(state): Shared, Stranger(caller): Stranger, Body(asked): Body<SignUp>) -> Answer {
    Ok(json(StatusCode::CREATED, &state.accounts.sign_up(asked, caller).await?))
}

async fn sign_in(State(state): Shared, Stranger(caller): Stranger, Body(asked): Body<SignIn>) -> Answer {
    Ok(json(StatusCode::OK, &state.accounts.sign_in(asked, caller).await?))
}

async fn refresh(State(state): Shared, caller: Caller, Body(asked): Body<Refresh>) -> Answer {
    // Whoever has a token of this server, good or not any more, is no stranger.
    if !state.accounts.knows(&asked.refresh_token) {
        state.limits.stranger(caller)?;
    }
    Ok(json(StatusCode::OK, &state.accounts.refresh(&asked, caller).await?))
}

async fn recover(State(state): Shared, Stranger(caller): Stranger, Body(asked): Body<Recover>) -> Answer {
    Ok(json(StatusCode::OK, &state.accounts.recover(asked, caller).await?))
}

async fn guest(State(state): Shared, Stranger(_): Stranger, Body(asked): Body<GuestSignIn>) -> Answer {
    Ok(json(StatusCode::OK, &state.accounts.guest(asked).await?))
}

async fn sign_out(State(state): Shared, known: Known) -> Answer {
    state.accounts.sign_out(&known.who, known.caller).await?;
    Ok(done())
}

async fn devices(State(state): Shared, known: Known) -> Answer {
    Ok(json(StatusCode::OK, &state.accounts.devices(&known.who).await?))
}

async fn revoke_device(State(state): Shared, known: Known, Path(device): Path<String>) -> Answer {
    let device: DeviceId = device
        .parse()
        .map_err(|_| Refusal::new(ErrorCode::NoSuchDevice, "Your account is not signed in there."))?;
    state.accounts.revoke_device(&known.who, device, known.caller).await?;
    Ok(done())
}

async fn change_password(State(state): Shared, known: Known, Body(asked): Body<ChangePassword>) -> Answer {
    state.accounts.change_password(&known.who, asked, known.caller).await?;
    Ok(done())
}

async fn recovery_codes(State(state): Shared, known: Known, Body(asked): Body<Confirm>) -> Answer {
    let codes = state.accounts.renew_recovery_codes(&known.who, asked, known.caller).await?;
    Ok(json(StatusCode::OK, &codes))
}

async fn audit(State(state): Shared, known: Known) -> Answer {
    Ok(json(StatusCode::OK, &state.accounts.audit(&known.who).await?))
}

async fn export(State(state): Shared, known: Known) -> Answer {
    Ok(json(StatusCode::OK, &state.accounts.export(&known.who, known.caller).await?))
}

async fn delete_account(State(state): Shared, known: Known, Body(asked): Body<Confirm>) -> Answer {
    state.accounts.delete(&known.who, asked, known.caller).await?;
    Ok(done())
}

async fn invite(State(state): Shared, known: Known, Body(asked): Body<NewInvite>) -> Answer {
    Ok(json(StatusCode::CREATED, &state.accounts.invite(&known.who, asked, known.caller).await?))
}

#[derive(Deserialize)]
struct OfRoom {
    room: Option<String>,
}

async fn invites(State(state): Shared, known: Known, Query(of): Query<OfRoom>) -> Answer {
    let room: Option<RoomId> = of.room.and_then(|room| room.parse().ok());
    let room = room.ok_or_else(|| Refusal::new(ErrorCode::BadMessage, "Say which room: ?room=r_…"))?;
    Ok(json(StatusCode::OK, &state.accounts.invites(&known.who, room).await?))
}

async fn revoke_invite(State(state): Shared, known: Known, Path(invite): Path<String>) -> Answer {
    let invite: InviteId =
        invite.parse().map_err(|_| Refusal::new(ErrorCode::InviteInvalid, "There is no such invite."))?;
    state.accounts.revoke_invite(&known.who, invite, known.caller).await?;
    Ok(done())
}
