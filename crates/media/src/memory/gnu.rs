//! The GNU C library.

/// Blocks of this many bytes and more are given back as soon as they are freed. It is the value that the library starts
/// with; setting it keeps the library from raising it (mallopt(3)).
const GIVEN_BACK: libc::c_int = 128 * 1024;

pub(super) fn give_back_early() {
    // SAFETY: mallopt takes two numbers, locks what it changes, and may be called at any time.
    let taken = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, GIVEN_BACK) };
    if taken == 0 {
        tracing::debug!("the C library keeps freed memory for longer than asked");
    }
}
