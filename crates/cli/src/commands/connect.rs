//! Who is signed in, and a session with the server.

use std::path::PathBuf;
use std::time::Duration;

use ahoy_client::account::{
    AccountPlace, Accounts, InviteLink, PlainHttp, ServerChoice, ServerUrl, SignInRecord, SignedIn,
    account_folder,
};
use ahoy_client::history::History;
use ahoy_client::signaling::{Signaling, SignalingEvent, SignalingEvents};
use ahoy_signal::account::GuestSignIn;
use ahoy_signal::{ClientInfo, Name, RoomId};
use anyhow::{Context as _, Result, bail};

use crate::args::{ServerArgs, SessionArgs};

/// How this program names itself to servers.
const AGENT: &str = concat!("ahoy-cli/", env!("CARGO_PKG_VERSION"));
/// A command that does one thing does not wait for a server for longer than a person would.
pub(super) const SHORT_PATIENCE: Duration = Duration::from_secs(20);
/// One that stays keeps trying like the window.
pub(super) const LONG_PATIENCE: Duration = Duration::from_secs(300);

pub(super) fn client_info() -> ClientInfo {
    ClientInfo { name: "ahoy-cli".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
}

pub(super) fn plain(session: &SessionArgs) -> PlainHttp {
    if session.insecure_http { PlainHttp::Allowed } else { PlainHttp::LoopbackOnly }
}

fn server(session: &SessionArgs) -> Result<Option<ServerUrl>> {
    let url = session.server.as_deref().map(|url| ServerUrl::parse(url, plain(session))).transpose()?;
    Ok(url)
}

fn folder() -> Result<std::path::PathBuf> {
    account_folder()
        .context("you have no home folder to remember sign-ins in: name a file with --session-file")
}

/// Where sign-ins are kept.
fn place(session: &SessionArgs) -> Result<AccountPlace> {
    Ok(match &session.session_file {
        Some(path) => AccountPlace::File(path.clone()),
        None => AccountPlace::Keyring { folder: folder()? },
    })
}

/// The sign-ins that are kept where the command line says.
pub(super) async fn accounts(session: &SessionArgs) -> Result<Accounts> {
    Ok(Accounts::open(place(session)?, AGENT).await?)
}

/// The history of whoever is signed in; guests have none.
pub(super) async fn history(session: &SessionArgs, signed_in: &SignedIn) -> Result<Option<History>> {
    let Some(record) = signed_in.record() else { return Ok(None) };
    Ok(Some(History::open(place(session)?.history(record)).await?))
}

/// Where transfers of files are remembered.
pub(super) fn transfers_folder(session: &SessionArgs, record: &SignInRecord) -> Result<PathBuf> {
    Ok(place(session)?.transfers(record))
}

/// The same, exchanging what is new with the server.
pub(super) async fn followed_history(
    session: &SessionArgs,
    signed_in: &SignedIn,
    signaling: &Signaling,
) -> Result<Option<History>> {
    let history = history(session, signed_in).await?.map(|history| history.follow(signaling.clone()));
    history.iter().for_each(History::online);
    Ok(history)
}

/// Sign-ins that end with this process.
pub(super) async fn passing_accounts() -> Result<Accounts> {
    Ok(Accounts::open(AccountPlace::Memory { folder: std::env::temp_dir() }, AGENT).await?)
}

/// Whoever is signed in, and where that is kept.
pub(super) async fn signed_in(session: &SessionArgs) -> Result<(Accounts, SignedIn)> {
    let server = server(session)?;
    let accounts = accounts(session).await?;
    let signed_in = accounts.signed_in(server.as_ref())?;
    Ok((accounts, signed_in))
}

/// The server's address, where one is named.
pub(super) fn named_server(session: &SessionArgs) -> Result<Option<ServerUrl>> {
    server(session)
}

/// The server to sign in to: the one that is named, or the last one.
pub(super) fn choice(accounts: &Accounts, args: &ServerArgs) -> Result<ServerChoice> {
    let url = match (server(&args.session)?, accounts.record(None)) {
        (Some(url), _) => url,
        (None, Ok(record)) => ServerUrl::parse(&record.server, plain(&args.session))?,
        (None, Err(_)) => bail!("name the server with --server, such as --server https://call.example.org"),
    };
    let before = accounts.record(Some(&url)).ok().and_then(|record| record.ca_file);
    Ok(ServerChoice {
        ca_file: args.ca_file.clone().or(before),
        plain: plain(&args.session),
        ..ServerChoice::at(url)
    })
}

/// Passes on what a history has to know of.
pub(super) fn to_history(history: &History, event: &SignalingEvent) {
    match event {
        SignalingEvent::Online { resumed: false } => history.online(),
        SignalingEvent::Inbox(entry) => history.told((**entry).clone()),
        _ => {}
    }
}

/// A session of whoever is signed in, online.
pub(super) async fn session(
    session: &SessionArgs,
    patience: Duration,
) -> Result<(Signaling, SignalingEvents)> {
    let (_, signed_in) = signed_in(session).await?;
    online(&signed_in, patience).await
}

/// A session, online.
pub(super) async fn online(signed_in: &SignedIn, patience: Duration) -> Result<(Signaling, SignalingEvents)> {
    Ok(Signaling::connect(signed_in, client_info(), patience).await?)
}

/// How long the good-bye may take.
const END_WITHIN: Duration = Duration::from_secs(4);

/// Ends a session in good order.
pub(super) async fn end(signaling: &Signaling, mut events: SignalingEvents) {
    signaling.end().await;
    // A server that does not say good-bye finds out by itself.
    let _ = tokio::time::timeout(END_WITHIN, async { while events.next().await.is_some() {} }).await;
}

/// A room as it is named on the command line.
pub(super) enum RoomName {
    Id(RoomId),
    Link(InviteLink),
    /// What one of one's own rooms is called.
    Own(String),
}

pub(super) fn room_name(text: &str, session: &SessionArgs) -> Result<RoomName> {
    if let Ok(id) = text.parse() {
        return Ok(RoomName::Id(id));
    }
    if text.contains("://") {
        return Ok(RoomName::Link(InviteLink::parse(text, plain(session))?));
    }
    Ok(RoomName::Own(text.to_owned()))
}

/// The id of a room, for which one's rooms are looked through where it is named.
pub(super) async fn find_room(text: &str, session: &SessionArgs, signaling: &Signaling) -> Result<RoomId> {
    let name = match room_name(text, session)? {
        RoomName::Id(id) => return Ok(id),
        RoomName::Link(link) => return Ok(link.room),
        RoomName::Own(name) => name,
    };
    let rooms = signaling.rooms().await?;
    let mut named = rooms.iter().filter(|room| room.name.as_str() == name);
    match (named.next(), named.next()) {
        (Some(room), None) => Ok(room.room),
        (None, _) => bail!(
            "you have no room called {name:?}: ahoy-cli rooms list shows yours, rooms of others need their id"
        ),
        (Some(_), Some(_)) => {
            bail!("several of your rooms are called {name:?}: use the id, ahoy-cli rooms list shows it")
        }
    }
}

/// Who comes to a room, and to which, where that is known: somebody with an account, or a guest with a link.
pub(super) async fn comes_to(
    room: RoomName,
    guest: Option<Name>,
    ca_file: Option<PathBuf>,
    session: &SessionArgs,
) -> Result<(SignedIn, Option<RoomId>)> {
    Ok(match (room, guest) {
        (RoomName::Link(link), Some(name)) => {
            let accounts = passing_accounts().await?;
            let server = ServerChoice { url: link.server, ca_file, pin: link.pin, plain: plain(session) };
            (accounts.guest(&server, &GuestSignIn { invite: link.token, name }).await?, Some(link.room))
        }
        (RoomName::Link(link), None) => {
            let signed_in = accounts(session)
                .await?
                .signed_in(Some(&link.server))
                .context("to come as a guest, say what others call you with --name")?;
            (signed_in, Some(link.room))
        }
        (RoomName::Id(id), _) => (signed_in(session).await?.1, Some(id)),
        (RoomName::Own(_), _) => (signed_in(session).await?.1, None),
    })
}
