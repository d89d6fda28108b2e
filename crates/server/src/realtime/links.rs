//! Passes on what contacts' programs say to each other about connections beside calls. Nothing of it is kept.

use std::sync::Arc;

use ahoy_signal::{CallPeer, LinkEnd, LinkSaid, RequestId, ServerMessage, UserId};
use tokio::sync::mpsc;

use super::Shared;
use super::mailbox::{Mailbox, News};

/// What of a session waits at most until it is known whether it may be said.
const WAITING_MOST: usize = 64;

/// Something that a session says.
pub(crate) struct Saying {
    pub(crate) re: RequestId,
    pub(crate) to: UserId,
    pub(crate) end: LinkEnd,
    pub(crate) at: Option<LinkEnd>,
    pub(crate) said: LinkSaid,
}

/// More is said than can wait.
#[derive(Debug)]
pub(crate) struct TooMuch;

/// What one session says, in its order. Whether it may be said is looked up in a task of its own, so that a slow database holds up
/// nothing else; it ends with this.
#[derive(Debug)]
pub(crate) struct Links(mpsc::Sender<Saying>);

impl Links {
    /// Of this session, whose owner others see as `from`.
    pub(crate) fn start(shared: Arc<Shared>, mailbox: Arc<Mailbox>, from: CallPeer) -> Self {
        let (sayings, mut next) = mpsc::channel::<Saying>(WAITING_MOST);
        tokio::spawn(async move {
            while let Some(Saying { re, to, end, at, said }) = next.recv().await {
                let answer = match shared.contacts.callee(from.user, to).await {
                    Ok(callee) => {
                        for session in callee.sessions {
                            let (from, said) = (from.clone(), said.clone());
                            let told = ServerMessage::Link { from, end, at, said };
                            shared.bus.tell(session, News::event(told));
                        }
                        ServerMessage::Done {}
                    }
                    Err(refusal) => ServerMessage::Error(refusal),
                };
                mailbox.put_news(News::answer(re, answer));
            }
        });
        Self(sayings)
    }

    /// Says something, after what was said before.
    pub(crate) fn say(&self, saying: Saying) -> Result<(), TooMuch> {
        self.0.try_send(saying).map_err(|_| TooMuch)
    }
}
