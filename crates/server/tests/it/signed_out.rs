//! What becomes of open WebSockets when the right to have them ends, and who gets one at all.

use crate::support::{PASSWORD, Place, Running};
use ahoy_server::server::database;
use ahoy_server::store::RoomStore as _;
use ahoy_server::store::StoredRoom;
use ahoy_server::store::sql::SqlStore;
use ahoy_signal::account::{Invite, TokenGrant};
use ahoy_signal::{CloseCode, ErrorCode, Name, RoomId, RoomSettings, paths};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

type Socket = WebSocketStream<TcpStream>;

/// Opens a WebSocket and says hello with a token.
async fn hello(server: &Running, token: &str) -> (Socket, Value) {
    let stream = TcpStream::connect(server.server.addr()).await.unwrap();
    let url = format!("ws://{}{}", server.server.addr(), paths::SOCKET);
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    let hello = json!({
        "v": 1, "body": {"type": "hello", "token": token, "client": {"name": "test", "version": "1"}},
    });
    socket.send(Message::text(hello.to_string())).await.unwrap();
    let answer = next(&mut socket).await.expect("an answer to hello");
    (socket, answer)
}

async fn next(socket: &mut Socket) -> Option<Value> {
    loop {
        match socket.next().await?.ok()? {
            Message::Text(text) => {
                let envelope: Value = serde_json::from_str(&text).unwrap();
                return Some(envelope["body"].clone());
            }
            Message::Close(_) => return None,
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => (),
        }
    }
}

async fn opened(server: &Running, grant: &TokenGrant) -> Socket {
    let (socket, answer) = hello(server, grant.access_token.as_str()).await;
    assert_eq!(answer["type"], "welcome", "{answer}");
    assert_eq!(answer["user"], json!(grant.user));
    socket
}

async fn refused(server: &Running, token: &str) -> ErrorCode {
    let (_, answer) = hello(server, token).await;
    assert_eq!(answer["type"], "error", "{answer}");
    serde_json::from_value(answer["code"].clone()).unwrap()
}

/// How the server closes a connection, whatever it says before.
async fn closed(mut socket: Socket) -> Option<CloseCode> {
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Close(frame) = message {
            return CloseCode::from_number(frame?.code.into());
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_one_websocket() {
    let place = Place::sqlite();
    let server = place.start().await;
    let ada = server.sign_up("ada").await.grant;
    let _socket = opened(&server, &ada).await;
    for _ in 0..20 {
        assert_eq!(refused(&server, ada.access_token.as_str()).await, ErrorCode::TokenUsed);
    }
    let next = server.refresh(&ada).await;
    let _another = opened(&server, &next).await;
    assert_eq!(refused(&server, next.refresh_token.as_str()).await, ErrorCode::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_signed_out_loses_its_connection_and_others_keep_theirs() {
    let place = Place::sqlite();
    let server = place.start().await;
    let mine = server.sign_up("ada").await.grant;
    let lost = server.sign_in("ada").await;
    let (mut here, there) = (opened(&server, &mine).await, opened(&server, &lost).await);
    server.delete(&format!("{}/{}", paths::DEVICES, lost.device), &mine).await.done();
    assert_eq!(closed(there).await, Some(CloseCode::SignedOut));
    here.send(Message::text(r#"{"v":1,"body":{"type":"ping"}}"#)).await.unwrap();
    assert_eq!(next(&mut here).await.unwrap()["type"], "pong");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_comes_twice_ends_the_connection_of_its_device() {
    let place = Place::sqlite();
    let server = place.start().await;
    let first = server.sign_up("ada").await.grant;
    let socket = opened(&server, &first).await;
    let second = server.refresh(&first).await;
    server.refresh(&second).await;
    assert_eq!(server.try_refresh(&first).await.refused(), ErrorCode::SignedOut);
    assert_eq!(closed(socket).await, Some(CloseCode::SignedOut));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_account_loses_all_its_connections() {
    let place = Place::sqlite();
    let server = place.start().await;
    let mine = server.sign_up("ada").await.grant;
    let other = server.sign_in("ada").await;
    let sockets = [opened(&server, &mine).await, opened(&server, &other).await];
    server.post(paths::DELETE_ACCOUNT, Some(&mine), &json!({"password": PASSWORD})).await.done();
    for socket in sockets {
        assert_eq!(closed(socket).await, Some(CloseCode::SignedOut));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_invite_ends_the_connections_of_its_guests() {
    let place = Place::sqlite();
    let server = place.start().await;
    let host = server.sign_up("ada").await.grant;
    let room = StoredRoom {
        room: RoomId::from_bits(rand::random()),
        host: host.user,
        name: Name::new("Kitchen").unwrap(),
        settings: RoomSettings::default(),
        moderators: [].into(),
    };
    let store = SqlStore::open(&database(&place.config())).await.unwrap();
    store.put_room(&room).await.unwrap();
    let invite: Invite = server.post(paths::INVITES, Some(&host), &json!({"room": room.room})).await.read();
    let token = invite.token.unwrap();
    assert_eq!(refused(&server, token.as_str()).await, ErrorCode::Unauthenticated);
    let asked = json!({"invite": token, "name": "Guest"});
    let guest: TokenGrant = server.post(paths::GUESTS, None, &asked).await.read();
    let socket = opened(&server, &guest).await;
    server.delete(&format!("{}/{}", paths::INVITES, invite.invite), &host).await.done();
    assert_eq!(closed(socket).await, Some(CloseCode::SignedOut));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_tells_everyone_when_to_come_back() {
    let place = Place::sqlite();
    let server = place.start().await;
    let ada = server.sign_up("ada").await.grant;
    let mut socket = opened(&server, &ada).await;
    let begun = std::time::Instant::now();
    let (told, ()) = tokio::join!(
        async {
            let told = next(&mut socket).await.expect("news");
            (told, closed(socket).await)
        },
        server.server.stop()
    );
    assert_eq!(told.0["type"], "reconnect", "{}", told.0);
    assert!(told.0["after_ms"].is_u64());
    assert_eq!(told.1, Some(CloseCode::ServerStopping));
    assert!(begun.elapsed() < std::time::Duration::from_secs(10));
}
