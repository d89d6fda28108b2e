//! The connection to one other participant: what is tried when it goes, and for how long.

use std::time::{Duration, Instant};

use crate::control::{Control, MediaState, View};

/// How long finding a path may take, from the answer on.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(30);
/// How long a path that was lost is looked for. People wait about that long before they call again.
pub(crate) const LOST_FOR: Duration = Duration::from_secs(30);
/// The same where the server says that the other side is gone.
pub(crate) const GONE_FOR: Duration = Duration::from_secs(10);
/// How long a silent path may come back by itself before another is looked for.
const RESTART_AFTER: Duration = Duration::from_secs(2);
/// The same for the side that did not offer: most of the time the other one has begun by then.
const RESTART_AFTER_ANSWERING: Duration = Duration::from_secs(5);
/// Time between two attempts.
const RESTART_AGAIN: Duration = Duration::from_secs(8);

/// How the connection of a leg is (W3C WebRTC section 4.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// A path is being looked for.
    Connecting,
    /// Media flow.
    Connected,
    /// Nothing has come for a while.
    Disconnected,
    /// There is no path.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// There was none yet.
    Connecting {
        until: Option<Instant>,
    },
    Connected,
    /// There was one.
    Lost {
        since: Instant,
        restart_at: Instant,
    },
}

/// What time brings about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    RestartIce,
    NoConnection,
    ConnectionLost,
}

#[derive(Clone, Debug)]
pub(crate) struct Leg {
    pub(crate) offers: bool,
    pub(crate) link: Link,
    /// Whether the server has said that the other side's session is over, and nothing was heard of them since.
    pub(crate) gone: bool,
    pub(crate) held_there: bool,
    pub(crate) media_there: Option<MediaState>,
    /// How their pictures are shown here; nothing where nobody has said so.
    view_here: Option<Option<View>>,
}

impl Leg {
    pub(crate) fn new(offers: bool) -> Self {
        let link = Link::Connecting { until: None };
        Self { offers, link, gone: false, held_there: false, media_there: None, view_here: None }
    }

    /// The call is answered: from now on a path has to be found.
    pub(crate) fn answered(&mut self, now: Instant) {
        if let Link::Connecting { until } = &mut self.link {
            *until = Some(now + CONNECT_WITHIN);
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.link == Link::Connected
    }

    /// Their pictures are shown like this now. Returns what they are to be told at once.
    pub(crate) fn set_view(&mut self, view: Option<View>) -> Option<Control> {
        let is_news = self.view_here.replace(view) != Some(view);
        (is_news && self.is_connected()).then_some(Control::View { view })
    }

    /// What they are to be told of how they are shown when there is a connection.
    pub(crate) fn view(&self) -> Option<Control> {
        self.view_here.map(|view| Control::View { view })
    }

    /// Takes in how the connection is. Whether it has just come about, or come back.
    pub(crate) fn on_link(&mut self, state: LinkState, now: Instant) -> bool {
        let patience = if self.offers { RESTART_AFTER } else { RESTART_AFTER_ANSWERING };
        let next = match (self.link, state) {
            (_, LinkState::Connected) => Link::Connected,
            (Link::Connected, LinkState::Disconnected) => {
                Link::Lost { since: now, restart_at: now + patience }
            }
            (Link::Connected, LinkState::Failed) => Link::Lost { since: now, restart_at: now },
            (Link::Lost { since, restart_at }, LinkState::Failed) => {
                Link::Lost { since, restart_at: restart_at.min(now + RESTART_AFTER) }
            }
            // An attempt that goes on, or a first one that fails: candidates may still come.
            (link @ Link::Connecting { .. }, _)
            | (link @ Link::Connected, LinkState::Connecting)
            | (link @ Link::Lost { .. }, LinkState::Connecting | LinkState::Disconnected) => link,
        };
        let came = next == Link::Connected && self.link != Link::Connected;
        self.link = next;
        came
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.link {
            Link::Connecting { until } => until,
            Link::Connected => None,
            Link::Lost { since, restart_at } => Some(restart_at.min(since + self.patience())),
        }
    }

    fn patience(&self) -> Duration {
        if self.gone { GONE_FOR } else { LOST_FOR }
    }

    pub(crate) fn on_tick(&mut self, now: Instant) -> Due {
        let patience = self.patience();
        match &mut self.link {
            Link::Connecting { until: Some(until) } if now >= *until => Due::NoConnection,
            Link::Lost { since, .. } if now >= *since + patience => Due::ConnectionLost,
            Link::Lost { restart_at, .. } if now >= *restart_at => {
                *restart_at = now + RESTART_AGAIN;
                Due::RestartIce
            }
            Link::Connecting { .. } | Link::Connected | Link::Lost { .. } => Due::Nothing,
        }
    }
}
