//! Secrets that people type: never shown, never on the command line.

use std::io::{self, BufRead as _, IsTerminal as _};

use ahoy_signal::{Password, RecoveryCode, TextError};

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    /// Nobody can type it.
    #[error("there is no terminal to type the {what} at: pass it with --password-stdin")]
    NoTerminal { what: &'static str },
    /// The input has ended.
    #[error("standard input has no line for the {what}")]
    Missing { what: &'static str },
    /// It can't be read.
    #[error("the {what} can't be read: {cause}")]
    Read { what: &'static str, cause: io::Error },
    /// Typed in two ways.
    #[error("the two passwords are not the same: try again")]
    Different,
    /// It breaks a rule.
    #[error(transparent)]
    Rule(#[from] TextError),
}

/// Longest line that is taken for a secret, in bytes: longer ones are files that went astray.
const LONGEST_LINE: usize = 4096;

/// Where secrets come from: a terminal, or standard input line by line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secrets {
    pub(crate) stdin: bool,
}

impl Secrets {
    fn ask(self, what: &'static str, prompt: &str) -> Result<String, PasswordError> {
        let read = |cause| PasswordError::Read { what, cause };
        if !self.stdin {
            if !io::stdin().is_terminal() {
                return Err(PasswordError::NoTerminal { what });
            }
            return rpassword::prompt_password(prompt).map_err(read);
        }
        let mut line = Vec::new();
        let mut limited = io::Read::take(io::stdin().lock(), LONGEST_LINE as u64);
        limited.read_until(b'\n', &mut line).map_err(read)?;
        if line.is_empty() {
            return Err(PasswordError::Missing { what });
        }
        let text = String::from_utf8(line)
            .map_err(|_| read(io::Error::new(io::ErrorKind::InvalidData, "it is not text in UTF-8")))?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// The password that counts.
    pub(crate) fn password(self) -> Result<Password, PasswordError> {
        Ok(Password::new(self.ask("password", "Password: ")?)?)
    }

    /// A new password, typed twice at a terminal.
    pub(crate) fn new_password(self) -> Result<Password, PasswordError> {
        let password = Password::new(self.ask("new password", "New password: ")?)?;
        if !self.stdin && self.ask("new password", "The same again: ")? != password.as_str() {
            return Err(PasswordError::Different);
        }
        Ok(password)
    }

    /// A recovery code.
    pub(crate) fn recovery_code(self) -> Result<RecoveryCode, PasswordError> {
        Ok(RecoveryCode::new(self.ask("recovery code", "Recovery code: ")?.trim())?)
    }
}
