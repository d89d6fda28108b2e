//! Closing a program's window as a window manager does when somebody presses its close button (ICCCM, section 4.2.8.1).

use x11rb::connection::Connection as _;
use x11rb::errors::ReplyOrIdError;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ClientMessageEvent, ConnectionExt as _, EventMask, MapState, Window as WindowId,
};
use x11rb::rust_connection::{ConnectError, RustConnection};

/// Why a window was not closed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CloseError {
    #[error("the display can't be reached: {0}")]
    Unreachable(#[from] ConnectError),
    #[error("the display does not answer: {0}")]
    Silent(#[from] ReplyOrIdError),
    #[error("the program shows no window that can be closed")]
    NoWindow,
}

impl From<x11rb::errors::ConnectionError> for CloseError {
    fn from(error: x11rb::errors::ConnectionError) -> Self {
        Self::Silent(error.into())
    }
}

impl From<x11rb::errors::ReplyError> for CloseError {
    fn from(error: x11rb::errors::ReplyError) -> Self {
        Self::Silent(error.into())
    }
}

struct Display {
    connection: RustConnection,
    root: WindowId,
    protocols: Atom,
    delete_window: Atom,
    process: Atom,
}

/// Asks the visible windows of `process` on the display to close.
pub(super) fn close_windows(display: &str, process: u32) -> Result<(), CloseError> {
    let display = Display::open(display)?;
    let mut asked = false;
    for window in display.all_windows()? {
        if display.is_closable(window, process)? {
            let data = [display.delete_window, x11rb::CURRENT_TIME, 0, 0, 0];
            let message = ClientMessageEvent::new(32, window, display.protocols, data);
            display.connection.send_event(false, window, EventMask::NO_EVENT, message)?;
            asked = true;
        }
    }
    display.connection.flush()?;
    if asked { Ok(()) } else { Err(CloseError::NoWindow) }
}

impl Display {
    fn open(name: &str) -> Result<Self, CloseError> {
        let (connection, screen) = RustConnection::connect(Some(name))?;
        let root = connection.setup().roots[screen].root;
        let atom = |name: &[u8]| -> Result<Atom, CloseError> {
            Ok(connection.intern_atom(false, name)?.reply()?.atom)
        };
        let (protocols, delete_window, process) =
            (atom(b"WM_PROTOCOLS")?, atom(b"WM_DELETE_WINDOW")?, atom(b"_NET_WM_PID")?);
        Ok(Self { connection, root, protocols, delete_window, process })
    }

    /// The root's children: without a window manager all windows of programs are that.
    fn all_windows(&self) -> Result<Vec<WindowId>, CloseError> {
        Ok(self.connection.query_tree(self.root)?.reply()?.children)
    }

    fn is_closable(&self, window: WindowId, process: u32) -> Result<bool, CloseError> {
        let attributes = self.connection.get_window_attributes(window)?.reply()?;
        let protocols = self.numbers(window, self.protocols, AtomEnum::ATOM)?;
        Ok(attributes.map_state == MapState::VIEWABLE
            && protocols.contains(&self.delete_window)
            && self.numbers(window, self.process, AtomEnum::CARDINAL)? == [process])
    }

    fn numbers(&self, window: WindowId, property: Atom, kind: AtomEnum) -> Result<Vec<u32>, CloseError> {
        let reply = self.connection.get_property(false, window, property, kind, 0, 64)?.reply()?;
        Ok(reply.value32().map(Iterator::collect).unwrap_or_default())
    }
}
