//! Recovery codes: get into an account whose password is lost, each once.

use ahoy_signal::RecoveryCode;

use super::refresh::hex_sha256;

/// How many an account has.
pub const CODES: usize = 10;
/// Letters and digits that nobody mistakes for each other on paper.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Of five bits each: 100 bits, which no one guesses, so that a plain hash is enough to store.
const DIGITS: usize = 20;
const GROUP: usize = 4;

/// A code of random bits, in groups for reading.
pub fn code(bits: u128) -> Option<RecoveryCode> {
    let mut text = String::with_capacity(DIGITS + DIGITS / GROUP);
    for place in 0..DIGITS {
        if place > 0 && place % GROUP == 0 {
            text.push('-');
        }
        text.push(char::from(ALPHABET[(bits >> (5 * place)) as usize & 31]));
    }
    RecoveryCode::new(text).ok()
}

/// What is stored of a code. How it was typed does not matter: capitals, spaces and dashes, `o` for zero.
pub fn hash(code: &RecoveryCode) -> String {
    let plain: String = code
        .as_str()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| match c.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        })
        .collect();
    hex_sha256(format!("recovery code {plain}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_counts_however_it_is_typed() {
        let made = code(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef).unwrap();
        assert_eq!(made.as_str().len(), 24);
        let typed = made.as_str().to_uppercase().replace('-', "").replace('0', "O").replace('1', "l");
        assert_eq!(hash(&RecoveryCode::new(typed).unwrap()), hash(&made));
        assert_ne!(hash(&code(1).unwrap()), hash(&code(2).unwrap()));
    }
}
