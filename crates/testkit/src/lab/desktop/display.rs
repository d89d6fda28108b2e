//! A program's window as the display has it: what is to be seen of it, and closing it as a window manager does when somebody
//! presses its close button (ICCCM, section 4.2.8.1).

use x11rb::connection::Connection as _;
use x11rb::errors::ReplyOrIdError;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ClientMessageEvent, ConnectionExt as _, EventMask, ImageFormat, InputFocus, MapState,
    Window as WindowId,
};
use x11rb::rust_connection::{ConnectError, RustConnection};

/// Why nothing can be done with a window.
#[derive(Debug, thiserror::Error)]
pub(super) enum DisplayError {
    #[error("the display can't be reached: {0}")]
    Unreachable(#[from] ConnectError),
    #[error("the display does not answer: {0}")]
    Silent(#[from] ReplyOrIdError),
    #[error("the program shows no window")]
    NoWindow,
    #[error("the window does not take what is dropped on it")]
    NotTaken,
    #[error("the picture can't be stored: {0}")]
    Png(#[from] png::EncodingError),
}

impl From<x11rb::errors::ConnectionError> for DisplayError {
    fn from(error: x11rb::errors::ConnectionError) -> Self {
        Self::Silent(error.into())
    }
}

impl From<x11rb::errors::ReplyError> for DisplayError {
    fn from(error: x11rb::errors::ReplyError) -> Self {
        Self::Silent(error.into())
    }
}

/// Width and height in pixels.
type Size = (u16, u16);

pub(super) struct Display {
    pub(super) connection: RustConnection,
    pub(super) root: WindowId,
    protocols: Atom,
    delete_window: Atom,
}

/// Gives the keyboard to none of the windows.
pub(super) fn take_focus_away(display: &str) -> Result<(), DisplayError> {
    let display = Display::open(display)?;
    let connection = &display.connection;
    connection.set_input_focus(InputFocus::NONE, x11rb::NONE, x11rb::CURRENT_TIME)?.check()?;
    Ok(())
}

/// Asks all windows on the display to close.
pub(super) fn close_window(display: &str) -> Result<(), DisplayError> {
    let display = Display::open(display)?;
    let windows = display.windows()?;
    if windows.is_empty() {
        return Err(DisplayError::NoWindow);
    }
    for (window, _) in windows {
        let data = [display.delete_window, x11rb::CURRENT_TIME, 0, 0, 0];
        let message = ClientMessageEvent::new(32, window, display.protocols, data);
        // Answered, so that it has got there before the connection ends.
        display.connection.send_event(false, window, EventMask::NO_EVENT, message)?.check()?;
    }
    Ok(())
}

/// What is to be seen of the largest window on the display, as PNG.
pub(super) fn picture_of(display: &str) -> Result<Vec<u8>, DisplayError> {
    let display = Display::open(display)?;
    let (window, (width, height)) = display.largest()?;
    let image = display.connection.get_image(ImageFormat::Z_PIXMAP, window, 0, 0, width, height, u32::MAX)?;
    // At a depth of 24: blue, green, red and a byte without meaning.
    let pixels = image.reply()?.data.chunks_exact(4).flat_map(|p| [p[2], p[1], p[0]]).collect::<Vec<_>>();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width.into(), height.into());
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(file)
}

impl Display {
    pub(super) fn open(name: &str) -> Result<Self, DisplayError> {
        let (connection, screen) = RustConnection::connect(Some(name))?;
        let root = connection.setup().roots[screen].root;
        let atom = |name: &[u8]| -> Result<Atom, DisplayError> {
            Ok(connection.intern_atom(false, name)?.reply()?.atom)
        };
        let (protocols, delete_window) = (atom(b"WM_PROTOCOLS")?, atom(b"WM_DELETE_WINDOW")?);
        Ok(Self { connection, root, protocols, delete_window })
    }

    /// The largest window, with its size.
    pub(super) fn largest(&self) -> Result<(WindowId, Size), DisplayError> {
        let largest = self.windows()?.into_iter().max_by_key(|(_, (w, h))| u32::from(*w) * u32::from(*h));
        largest.ok_or(DisplayError::NoWindow)
    }

    /// The visible windows that can be closed, with their sizes. Without a window manager all are children of the root.
    fn windows(&self) -> Result<Vec<(WindowId, Size)>, DisplayError> {
        let mut found = Vec::new();
        for window in self.connection.query_tree(self.root)?.reply()?.children {
            if self.is_closable(window)? {
                let size = self.connection.get_geometry(window)?.reply()?;
                found.push((window, (size.width, size.height)));
            }
        }
        Ok(found)
    }

    fn is_closable(&self, window: WindowId) -> Result<bool, DisplayError> {
        let attributes = self.connection.get_window_attributes(window)?.reply()?;
        let protocols = self.connection.get_property(false, window, self.protocols, AtomEnum::ATOM, 0, 64)?;
        let closes =
            protocols.reply()?.value32().is_some_and(|mut atoms| atoms.any(|a| a == self.delete_window));
        Ok(attributes.map_state == MapState::VIEWABLE && closes)
    }
}
