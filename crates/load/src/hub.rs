//! The peer: the hub that one writes with axum in an afternoon. Rooms and broadcast; no accounts, no permissions, no
//! history, nothing that survives a lost connection.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use axum::extract::{Path, State, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use tokio::sync::mpsc;

use crate::error::LoadError;

/// Messages that wait for one connection. When it is full, the member is left out from then on.
const WAITING_MOST: usize = 1024;
/// axum's own are 128 KiB, which nobody with many connections leaves.
const BUFFER: usize = 4 * 1024;

#[derive(Debug, Default)]
struct Hub {
    rooms: Mutex<HashMap<u64, HashMap<u64, mpsc::Sender<Utf8Bytes>>>>,
}

/// Serves until the process is ended.
pub(crate) fn run() -> Result<(), LoadError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(LoadError::system("the hub"))?.block_on(async {
        let app = Router::new().route("/rooms/{room}", any(upgrade)).with_state(Arc::<Hub>::default());
        let listener = tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await;
        let listener = listener.map_err(LoadError::system("the hub"))?;
        let address = listener.local_addr().map_err(LoadError::system("the hub"))?;
        writeln!(std::io::stdout(), "hub listens on http://{address}")
            .map_err(LoadError::system("the hub"))?;
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
            // Without it, Nagle's algorithm holds deliveries back; where it can't be set, they are late.
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, app).await.map_err(LoadError::system("the hub"))
    })
}

async fn upgrade(Path(room): Path<u64>, State(hub): State<Arc<Hub>>, upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade.read_buffer_size(BUFFER).write_buffer_size(BUFFER);
    upgrade.on_upgrade(move |socket| async move { hub.serve(room, socket).await })
}

impl Hub {
    async fn serve(&self, room: u64, mut socket: WebSocket) {
        let (sender, mut waiting) = mpsc::channel(WAITING_MOST);
        let member = self.enter(room, sender);
        loop {
            tokio::select! {
                message = socket.recv() => match message {
                    Some(Ok(Message::Text(text))) => self.tell(room, &text),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => break,
                },
                text = waiting.recv() => match text {
                    Some(text) => {
                        if socket.send(Message::Text(text)).await.is_err() {
                            break;
                        }
                    }
                    None => break,
                },
            }
        }
        self.rooms().entry(room).and_modify(|members| drop(members.remove(&member)));
    }

    fn rooms(&self) -> std::sync::MutexGuard<'_, HashMap<u64, HashMap<u64, mpsc::Sender<Utf8Bytes>>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, room: u64, sender: mpsc::Sender<Utf8Bytes>) -> u64 {
        let mut rooms = self.rooms();
        let members = rooms.entry(room).or_default();
        let member = members.keys().max().map_or(0, |last| last + 1);
        members.insert(member, sender);
        member
    }

    fn tell(&self, room: u64, text: &Utf8Bytes) {
        if let Some(members) = self.rooms().get_mut(&room) {
            members.retain(|_, sender| sender.try_send(text.clone()).is_ok());
        }
    }
}
