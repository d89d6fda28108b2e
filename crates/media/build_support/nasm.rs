//! Whether the assembler that openh264 needs is there. Shared by the build script and its test.

use std::env;
use std::ffi::OsStr;
use std::path::Path;

/// Set in the environment, it makes openh264-sys2 leave its assembly out on purpose.
pub(crate) const OPT_OUT: &str = "OPENH264_NO_ASM";

/// What to tell the person building, or `None` where the build can go on.
///
/// Without nasm openh264-sys2 falls back to plain C++ without a word, and every call costs 2.5 times the CPU. Other
/// architectures assemble with the C compiler.
pub(crate) fn problem(
    architecture: &str,
    search_path: &OsStr,
    opted_out: bool,
    is_file: impl Fn(&Path) -> bool,
) -> Option<String> {
    if opted_out || !matches!(architecture, "x86" | "x86_64") {
        return None;
    }
    let name = format!("nasm{}", env::consts::EXE_SUFFIX);
    if env::split_paths(search_path).any(|folder| is_file(&folder.join(&name))) {
        return None;
    }
    // openh264-sys2 may be built, slowly, at the same moment, and Cargo would not build it again by itself.
    Some(
        "nasm was not found: without it the H.264 codec would be built 2.5 times slower. \
         Run `cargo xtask setup`, or `sudo apt install nasm`, and then `cargo clean -p openh264-sys2` before building again. \
         (Set OPENH264_NO_ASM=1 to build the slow codec on purpose.)"
            .to_owned(),
    )
}
