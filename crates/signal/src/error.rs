//! Why something was not done: stable codes for programs, sentences for people.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident => $status:literal;)*) => {
        /// Why a request was refused, over the WebSocket and over HTTP alike. A client branches on these; codes are never
        /// given another meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
        }

        impl ErrorCode {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The HTTP status that goes with it (RFC 9110 section 15).
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
        }
    };
}

codes! {
    /// Not JSON, not an envelope, or fields that break a rule.
    BadMessage => 400;
    /// A type that this server does not know.
    UnknownType => 400;
    /// A version that this server does not speak.
    UnsupportedVersion => 400;
    /// More bytes than a message may have.
    MessageTooLarge => 413;
    /// This message needs `room`, or an `id`, in its envelope.
    EnvelopeIncomplete => 400;
    /// It can't be said now: `hello` twice, or something before it.
    OutOfPlace => 409;
    /// No token, or one that is not valid here.
    Unauthenticated => 401;
    /// The token has expired: refresh it.
    TokenExpired => 401;
    /// The token has opened a connection before: refresh it.
    TokenUsed => 401;
    /// The session that was to be resumed is not there any more: say `hello`.
    SessionGone => 410;
    /// Handle and password don't fit together.
    WrongCredentials => 401;
    /// The device was signed out, or its refresh token was used twice: sign in again.
    SignedOut => 401;
    /// The handle belongs to someone.
    HandleTaken => 409;
    /// This server makes accounts for nobody, or not for strangers.
    SignUpClosed => 403;
    /// One's role does not allow this.
    Forbidden => 403;
    /// There is no such room, or it is none of one's business.
    NoSuchRoom => 404;
    /// There is no such user, or they don't want to be found.
    NoSuchUser => 404;
    /// There is no such participant in the room.
    NoSuchParticipant => 404;
    /// There is no such device of this account.
    NoSuchDevice => 404;
    /// The room holds no more people.
    RoomFull => 409;
    /// The room is locked.
    RoomLocked => 423;
    /// One was removed from the room, or not admitted.
    NotAdmitted => 403;
    /// One is not in the room: join it first.
    NotInRoom => 409;
    /// The invite is not valid, has expired, was used up, or was revoked.
    InviteInvalid => 410;
    /// There is no such call, or it is over.
    NoSuchCall => 404;
    /// One of the two is in another call already.
    Busy => 409;
    /// They can't be called or written to: no contact, or blocked.
    NotAContact => 403;
    /// No contact has sent one this message.
    NoSuchMessage => 404;
    /// None of their devices is connected.
    Offline => 409;
    /// As many as there may be: leave, delete or sign out one first.
    TooMany => 409;
    /// Too much in too short a time: `retry_after_ms` says when to try again.
    RateLimited => 429;
    /// The server can't do it now: try again later.
    Unavailable => 503;
    /// The server is stopping: connect again, which may lead to another one.
    ShuttingDown => 503;
    /// A bug of the server's, which its log describes.
    Internal => 500;
}

/// A refused request: what the server says instead of doing it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[error("{message}")]
pub struct Refusal {
    /// For programs.
    pub code: ErrorCode,
    /// For people: what is wrong and what to do, in English.
    pub message: String,
    /// When to try again at the earliest, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "bindings", ts(optional, type = "number"))]
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    /// A refusal with its sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_ms: None }
    }
}

macro_rules! close_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        /// Why the server closed a connection (RFC 6455 section 7.4.2: 4000 to 4999 are ours). Up to 4099 the client connects
        /// again, waiting as its back-off says; from 4100 on that would change nothing.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum CloseCode {
            $($(#[$doc])* $name,)*
        }

        impl CloseCode {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The number in the close frame.
            pub const fn number(self) -> u16 {
                match self { $(Self::$name => $code,)* }
            }

            /// The reason in the close frame.
            pub const fn reason(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

close_codes! {
    /// The server is stopping: resume, after the delay that `reconnect` told.
    ServerStopping = 4000;
    /// Nothing was heard for two heartbeats and a half: resume.
    HeartbeatMissed = 4001;
    /// The connection took messages more slowly than they came: resume.
    SlowConsumer = 4002;
    /// The access token ran out and no fresh one came: refresh, then resume.
    TokenExpired = 4003;
    /// No `hello` or `resume` came in time.
    HelloMissing = 4004;
    /// The token in `hello`, or the session in `resume`, is not good: say `hello` with a fresh token.
    HelloRefused = 4005;
    /// Messages kept coming in spite of `rate_limited`: wait a minute.
    Flood = 4006;
    /// The server made a mistake.
    ServerFault = 4007;
    /// Client and server have no version in common.
    UnsupportedVersion = 4100;
    /// The device was signed out or its account deleted.
    SignedOut = 4101;
    /// The session was resumed on another connection.
    Replaced = 4102;
    /// Too many messages made no sense.
    ProtocolViolation = 4103;
    /// A message was longer than any may be.
    MessageTooLarge = 4104;
    /// The client said `bye`.
    Goodbye = 4105;
}

impl CloseCode {
    /// What a number in a close frame means; `None` where it is not one of ours.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.number() == number)
    }

    /// Whether connecting again may help.
    pub const fn reconnects(self) -> bool {
        self.number() < 4100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_are_distinct_and_read_back() {
        for code in CloseCode::ALL {
            assert_eq!(CloseCode::from_number(code.number()), Some(*code));
        }
        assert_eq!(CloseCode::from_number(1000), None);
    }

    #[test]
    fn every_refusal_is_an_error_over_http_too() {
        for code in ErrorCode::ALL {
            assert!((400..600).contains(&code.http_status()), "{code:?}");
        }
    }
}
