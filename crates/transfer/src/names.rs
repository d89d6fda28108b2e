//! Names of files and folders: what the other side may call them, and what they are called here.

use unicode_normalization::UnicodeNormalization;

/// Longest name in bytes of UTF-8: what Linux, macOS and most others take. NTFS counts UTF-16 units, of which there are never
/// more.
pub const NAME_LONGEST: usize = 255;

/// Names that Windows keeps for devices, also with an extension behind them.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];
/// Of these there is one for each digit, superscript ones included.
const NUMBERED_DEVICES: [&str; 2] = ["com", "lpt"];
/// What stands for a character that can't be in a name.
const REPLACEMENT: char = '_';

/// Whose rules a name has to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRules {
    /// Anything but `/` and zero; large and small letters differ.
    Posix,
    /// As macOS has it: as above, but names that differ in large and small letters, or in how accents are composed, are the same.
    Mac,
    /// As Windows has it: many characters and some whole names are not allowed, and letters may be large or small.
    Windows,
}

impl NameRules {
    /// Those of the system that this runs on.
    pub const fn here() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else if cfg!(target_os = "macos") {
            Self::Mac
        } else {
            Self::Posix
        }
    }

    /// What a file that the other side calls so is called here: the same where that can be, and where it says what it looks like.
    /// Letters that turn the direction of writing around, with which `exe.gnp` looks like `png.exe`, and control characters are
    /// replaced everywhere.
    pub fn adapt(self, name: &str) -> String {
        let is_allowed = |c: char| match self {
            _ if c.is_control() || is_invisible(c) || c == '/' => false,
            Self::Posix | Self::Mac => true,
            Self::Windows => !matches!(c, '<' | '>' | ':' | '"' | '\\' | '|' | '?' | '*'),
        };
        let replaced: String = name.chars().map(|c| if is_allowed(c) { c } else { REPLACEMENT }).collect();
        let mut adapted = shortened(&replaced, NAME_LONGEST);
        if self == Self::Windows {
            if is_device(&adapted) {
                adapted = format!("{REPLACEMENT}{}", shortened(&adapted, NAME_LONGEST - 1));
            }
            // Windows leaves these out at the end, so that another file would be meant.
            let kept = adapted.trim_end_matches(['.', ' ']).len();
            let left_out = adapted.len() - kept;
            adapted.truncate(kept);
            adapted.extend(std::iter::repeat_n(REPLACEMENT, left_out));
        }
        match adapted.as_str() {
            "" | "." | ".." => REPLACEMENT.to_string(),
            _ => adapted,
        }
    }

    /// Names with the same key are the same file.
    pub fn key(self, name: &str) -> String {
        match self {
            Self::Posix => name.to_owned(),
            Self::Mac | Self::Windows => name.nfc().flat_map(char::to_lowercase).collect(),
        }
    }
}

/// Why the other side can't mean a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no characters.
    #[error("a name without characters")]
    Empty,
    /// It is longer than [`NAME_LONGEST`].
    #[error("a name of {0} bytes, where 255 are the most")]
    TooLong(usize),
    /// It is `.` or `..`.
    #[error("a name that stands for a folder itself, or the one above it")]
    Relative,
    /// It has a slash or a zero in it.
    #[error("a name with a slash or a zero byte in it")]
    Separator,
}

/// Checks what nobody calls a file who means no harm. Everything else [`NameRules::adapt`] makes a name of.
pub fn check_name(name: &str) -> Result<(), NameError> {
    match name {
        "" => Err(NameError::Empty),
        "." | ".." => Err(NameError::Relative),
        _ if name.len() > NAME_LONGEST => Err(NameError::TooLong(name.len())),
        _ if name.contains(['/', '\0']) => Err(NameError::Separator),
        _ => Ok(()),
    }
}

/// The name for another file beside one with this name: `picture (2).jpg`.
pub fn numbered(name: &str, number: u32) -> String {
    let (stem, extension) = split_extension(name);
    let ending = format!(" ({number}){extension}");
    format!("{}{ending}", shortened_to(stem, NAME_LONGEST.saturating_sub(ending.len())))
}

/// What comes before the last dot, and the rest; a name that begins with its only dot has no extension, and neither has one whose
/// would be longer than any that is used.
fn split_extension(name: &str) -> (&str, &str) {
    const LONGEST: usize = 16;
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= LONGEST => name.split_at(dot),
        _ => (name, ""),
    }
}

/// Shortened in its middle, so that the extension stays.
fn shortened(name: &str, longest: usize) -> String {
    if name.len() <= longest {
        return name.to_owned();
    }
    let (stem, extension) = split_extension(name);
    format!("{}{extension}", shortened_to(stem, longest - extension.len()))
}

fn shortened_to(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    DEVICES.contains(&stem.as_str())
        || NUMBERED_DEVICES.iter().any(|device| {
            let mut rest = stem.strip_prefix(device).unwrap_or_default().chars();
            matches!((rest.next(), rest.next()), (Some('1'..='9' | '¹' | '²' | '³'), None))
        })
}

/// Characters of Unicode that are not seen and change how the others are (UTR 36 section 2.5): directions of writing, joiners of
/// nothing, marks of byte order. Those that emoji and scripts need (zero-width joiners) stay.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let checked = ["", ".", "..", "a/b", "/etc", "a\0b", &"x".repeat(256)].map(check_name);
        assert!(checked.iter().all(Result::is_err), "{checked:?}");
        assert!(
            ["...", "a..b", "C:", "a\\b", "ü", &"x".repeat(255)].iter().all(|name| check_name(name).is_ok())
        );
    }

    #[test]
    fn names_that_only_windows_refuses_are_changed_there_only() {
        for (name, there) in [
            ("a:b.txt", "a_b.txt"),
            ("a\\b", "a_b"),
            ("NUL", "_NUL"),
            ("con.txt", "_con.txt"),
            ("con .txt", "_con .txt"),
            ("COM¹", "_COM¹"),
            ("com10", "com10"),
            ("evil.exe ", "evil.exe_"),
            ("dots...", "dots___"),
            ("ordinary.tar.gz", "ordinary.tar.gz"),
        ] {
            assert_eq!(NameRules::Windows.adapt(name), there);
            assert_eq!(NameRules::Posix.adapt(name), name);
        }
    }

    #[test]
    fn what_is_not_seen_in_a_name_can_not_disguise_it() {
        for rules in [NameRules::Posix, NameRules::Mac, NameRules::Windows] {
            assert_eq!(rules.adapt("photo\u{202e}gnp.exe"), "photo_gnp.exe");
            assert_eq!(rules.adapt("line\nbreak\u{1b}[31m"), "line_break_[31m");
        }
        assert_eq!(NameRules::Posix.adapt("👩\u{200d}💻.png"), "👩\u{200d}💻.png");
    }

    #[test]
    fn names_that_differ_in_letters_only_are_the_same_where_the_system_thinks_so() {
        let same = |rules: NameRules, a, b| rules.key(a) == rules.key(b);
        assert!(!same(NameRules::Posix, "A.txt", "a.txt"));
        assert!(same(NameRules::Windows, "A.txt", "a.txt"));
        assert!(same(NameRules::Mac, "u\u{308}.txt", "Ü.txt"));
    }

    #[test]
    fn a_second_file_of_a_name_keeps_its_extension_and_fits() {
        assert_eq!(numbered("picture.jpg", 2), "picture (2).jpg");
        assert_eq!(numbered(".profile", 2), ".profile (2)");
        let long = numbered(&format!("{}.jpg", "ü".repeat(125)), 1_000);
        assert!(long.len() <= NAME_LONGEST && long.ends_with(" (1000).jpg"), "{long}");
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_file_is_called_it_gets_a_name_that_can_be_used(name in ".{0,300}") {
            for rules in [NameRules::Posix, NameRules::Mac, NameRules::Windows] {
                let adapted = rules.adapt(&name);
                proptest::prop_assert_eq!(check_name(&adapted), Ok(()));
                proptest::prop_assert_eq!(rules.adapt(&adapted), adapted, "it stays what it is");
            }
        }
    }
}
