//! Errors as sentences of their own.

/// `text` with a capital letter at its start: errors are written to follow a name and a colon, reports begin with them.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_letter_changes() {
        assert_eq!(sentence("the camera Cam Link is busy"), "The camera Cam Link is busy");
        assert_eq!(sentence("/dev/video0 is gone"), "/dev/video0 is gone");
        assert_eq!(sentence("über"), "Über");
        assert_eq!(sentence(""), "");
    }
}
