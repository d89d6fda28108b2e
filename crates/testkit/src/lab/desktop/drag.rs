//! Files that somebody drags over a window and drops on it, as a file manager does (Drag-and-Drop Protocol for the X Window
//! System, version 5).

use std::fmt::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ClientMessageEvent, ConnectionExt as _, CreateWindowAux, EventMask, PropMode,
    SELECTION_NOTIFY_EVENT, SelectionNotifyEvent, SelectionRequestEvent, Window as WindowId, WindowClass,
};
use x11rb::wrapper::ConnectionExt as _;

use super::display::{Display, DisplayError};
use crate::lab::LabError;

/// The protocol's version.
const VERSION: u32 = 5;
/// How long a window may take to answer.
const WITHIN: Duration = Duration::from_secs(10);
/// How often it is asked again whether it takes what is over it: it may have to look at it first.
const EVERY: Duration = Duration::from_millis(50);

struct Atoms {
    selection: Atom,
    enter: Atom,
    position: Atom,
    status: Atom,
    leave: Atom,
    drop: Atom,
    finished: Atom,
    copy: Atom,
    uris: Atom,
    targets: Atom,
}

/// Files that are held over a window.
pub struct Dragged {
    display: Display,
    atoms: Atoms,
    source: WindowId,
    target: WindowId,
    uris: Vec<u8>,
}

impl fmt::Debug for Dragged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dragged").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Dragged {
    /// Takes files and holds them over the largest window until it says that it would take them.
    pub(super) fn over(display: &str, paths: &[&Path]) -> Result<Self, DisplayError> {
        let display = Display::open(display)?;
        let (target, (width, height)) = display.largest()?;
        let connection = &display.connection;
        let atom = |name: &str| -> Result<Atom, DisplayError> {
            Ok(connection.intern_atom(false, name.as_bytes())?.reply()?.atom)
        };
        let atoms = Atoms {
            selection: atom("XdndSelection")?,
            enter: atom("XdndEnter")?,
            position: atom("XdndPosition")?,
            status: atom("XdndStatus")?,
            leave: atom("XdndLeave")?,
            drop: atom("XdndDrop")?,
            finished: atom("XdndFinished")?,
            copy: atom("XdndActionCopy")?,
            uris: atom("text/uri-list")?,
            targets: atom("TARGETS")?,
        };
        let source = connection.generate_id()?;
        let (class, aux) = (WindowClass::INPUT_ONLY, CreateWindowAux::new());
        connection.create_window(0, source, display.root, 0, 0, 1, 1, 0, class, 0, &aux)?.check()?;
        connection.set_selection_owner(source, atoms.selection, x11rb::CURRENT_TIME)?.check()?;
        let uris = paths.iter().flat_map(|path| uri(path).into_bytes()).collect();
        let middle =
            connection.translate_coordinates(target, display.root, width as i16 / 2, height as i16 / 2);
        let at = middle?.reply()?;
        let at = u32::from(at.dst_x as u16) << 16 | u32::from(at.dst_y as u16);
        let drag = Self { display, atoms, source, target, uris };
        drag.say(drag.atoms.enter, [VERSION << 24, drag.atoms.uris, 0, 0])?;
        drag.until(
            drag.atoms.status,
            |message| message.data.as_data32()[1] & 1 == 1,
            || drag.say(drag.atoms.position, [0, at, x11rb::CURRENT_TIME, drag.atoms.copy]),
        )?;
        Ok(drag)
    }

    /// Lets them go there.
    pub fn drop_there(self) -> Result<(), LabError> {
        self.say(self.atoms.drop, [0, x11rb::CURRENT_TIME, 0, 0])?;
        Ok(self.until(self.atoms.finished, |_| true, || Ok(()))?)
    }

    /// Takes them away again.
    pub fn leave(self) -> Result<(), LabError> {
        Ok(self.say(self.atoms.leave, [0; 4])?)
    }

    fn say(&self, what: Atom, [a, b, c, d]: [u32; 4]) -> Result<(), DisplayError> {
        let message = ClientMessageEvent::new(32, self.target, what, [self.source, a, b, c, d]);
        let connection = &self.display.connection;
        Ok(connection.send_event(false, self.target, EventMask::NO_EVENT, message)?.check()?)
    }

    /// Answers what the window asks until it says something.
    fn until(
        &self,
        what: Atom,
        is_it: impl Fn(&ClientMessageEvent) -> bool,
        again: impl Fn() -> Result<(), DisplayError>,
    ) -> Result<(), DisplayError> {
        let deadline = Instant::now() + WITHIN;
        let mut due = Instant::now();
        while Instant::now() < deadline {
            if Instant::now() >= due {
                again()?;
                due = Instant::now() + EVERY;
            }
            match self.display.connection.poll_for_event()? {
                Some(Event::SelectionRequest(asked)) => self.answer(asked)?,
                Some(Event::ClientMessage(message)) if message.type_ == what && is_it(&message) => {
                    return Ok(());
                }
                Some(_) => {}
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        Err(DisplayError::NotTaken)
    }

    fn answer(&self, asked: SelectionRequestEvent) -> Result<(), DisplayError> {
        let connection = &self.display.connection;
        let SelectionRequestEvent { time, requestor, selection, target, property, .. } = asked;
        let mut answer = SelectionNotifyEvent {
            response_type: SELECTION_NOTIFY_EVENT,
            sequence: 0,
            time,
            requestor,
            selection,
            target,
            property,
        };
        let replace = PropMode::REPLACE;
        if target == self.atoms.uris {
            connection.change_property8(replace, requestor, property, target, &self.uris)?.check()?;
        } else if target == self.atoms.targets {
            let kinds = [self.atoms.targets, self.atoms.uris];
            connection.change_property32(replace, requestor, property, AtomEnum::ATOM, &kinds)?.check()?;
        } else {
            answer.property = x11rb::NONE;
        }
        Ok(connection.send_event(false, requestor, EventMask::NO_EVENT, answer)?.check()?)
    }
}

/// A line of `text/uri-list` (RFC 2483 section 5).
fn uri(path: &Path) -> String {
    let mut uri = String::from("file://");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'~' => uri.push(char::from(*byte)),
            _ if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            _ => _ = write!(uri, "%{byte:02X}"),
        }
    }
    uri + "\r\n"
}
