//! What a worker calls. A message is the length of its text (4 bytes, little-endian), the text, and bytes after it. It is written
//! to where [`message_in`] says before [`handle`] takes it, and read from where [`message_out`] says after [`next`] has put it
//! there.
#![allow(
    unsafe_code,
    reason = "names of functions that leave a module have to be their own in the whole program, which nothing checks"
)]

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;

use crate::end::End;

thread_local! {
    static ENDS: RefCell<Vec<Option<End>>> = const { RefCell::new(Vec::new()) };
    static IN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static OUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Where a message of so many bytes goes in.
// SAFETY: no other function of the program has this name.
#[unsafe(no_mangle)]
pub extern "C" fn message_in(length: usize) -> *const u8 {
    IN.with_borrow_mut(|message| {
        message.clear();
        message.resize(length, 0);
        message.as_ptr()
    })
}

/// Where the message is that [`next`] has told the length of.
// SAFETY: no other function of the program has this name.
#[unsafe(no_mangle)]
pub extern "C" fn message_out() -> *const u8 {
    OUT.with_borrow(Vec::as_ptr)
}

/// Somebody to give files to, and to get some of; the message is what they are called. Gives their number.
// SAFETY: no other function of the program has this name.
#[unsafe(no_mangle)]
pub extern "C" fn open() -> usize {
    let name = IN.with_borrow(|message| String::from_utf8_lossy(message).into_owned());
    ENDS.with_borrow_mut(|ends| {
        let free = ends.iter().position(Option::is_none).unwrap_or_else(|| {
            ends.push(None);
            ends.len() - 1
        });
        ends[free] = Some(End::new(name));
        free
    })
}

/// Nothing more happens with somebody.
// SAFETY: no other function of the program has this name.
#[unsafe(no_mangle)]
pub extern "C" fn close(end: usize) {
    ENDS.with_borrow_mut(|ends| {
        if let Some(end) = ends.get_mut(end) {
            *end = None;
        }
    });
}

fn with<T>(end: usize, act: impl FnOnce(&mut End) -> T) -> Option<T> {
    ENDS.with_borrow_mut(|ends| ends.get_mut(end)?.as_mut().map(act))
}

/// Takes in the message, at so many milliseconds. Gives 1 where it can't be read.
// SAFETY: no other function of the program has this name.
#[unsafe(no_mangle)]
pub extern "C" fn handle(end: usize, now_ms: f64) -> u32 {
    let message = IN.take();
    let Some((length, rest)) = message.split_first_chunk::<4>() else { return 1 };
    let Some((text, bytes)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize) else { return 1 };
    let Ok(input) = serde_json::from_slice(text) else { return 1 };
    let bytes = Bytes::copy_from_slice(bytes);
    let now = Duration::try_from_secs_f64(now_ms / 1e3).unwrap_or_default();
    with(end, |end| end.handle(input, bytes, now));
    0
}

/// Puts out the next message; gives its length, and 0 where there is none.
// SAFETY: no other function of the program has this name.
#[unsafe(no_mangle)]
pub extern "C" fn next(end: usize) -> usize {
    let Some((output, bytes)) = with(end, End::poll).flatten() else { return 0 };
    let Ok(text) = serde_json::to_vec(&output) else { return 0 };
    OUT.with_borrow_mut(|message| {
        message.clear();
        message.extend_from_slice(&u32::try_from(text.len()).unwrap_or_default().to_le_bytes());
        message.extend_from_slice(&text);
        message.extend_from_slice(&bytes);
        message.len()
    })
}

/// At how many milliseconds to say that time has passed; less than none where that is not needed.
// SAFETY: no other function of the program has this name.
#[unsafe(no_mangle)]
pub extern "C" fn next_wakeup(end: usize) -> f64 {
    with(end, |end| end.next_wakeup()).flatten().map_or(-1.0, |at| at.as_secs_f64() * 1e3)
}
