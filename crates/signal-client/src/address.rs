//! Where a server is.

use std::fmt;
use std::str::FromStr;

use ahoy_signal::{InviteToken, RoomId};
use reqwest::Url;

use crate::trust::Fingerprint;

/// Whether passwords and tokens may cross the network in the open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainHttp {
    /// Only to this machine itself.
    #[default]
    LoopbackOnly,
    /// Anywhere: somebody has chosen that, for a network that is safe in itself.
    Allowed,
}

/// Why a text is not the address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not an address at all.
    #[error("{text:?} is not the address of a server: one looks like https://call.example.org")]
    Syntax {
        /// What was given.
        text: String,
    },
    /// Not an invite link.
    #[error(
        "this is not an invite link: one looks like https://call.example.org/join/ROOM#TOKEN, copied whole"
    )]
    Link,
    /// Plain HTTP to another machine.
    #[error(
        "http:// would send your password across the network in the open: use https://{host}, or --insecure-http if the network is safe in itself"
    )]
    Plain {
        /// Which machine.
        host: String,
    },
}

/// The address of a server: scheme, host and port, without a path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerUrl(Url);

impl ServerUrl {
    /// Reads an address. Without a scheme it is `https://`.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str, plain: PlainHttp) -> Result<Self, AddressError> {
        let syntax = || AddressError::Syntax { text: text.to_owned() };
        let trimmed = text.trim();
        let whole = if trimmed.contains("://") { trimmed.to_owned() } else { format!("https://{trimmed}") };
        let url = Url::parse(&whole).map_err(|_| syntax())?;
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(syntax)?;
        match (url.scheme(), bare) {
            ("https", true) => Ok(Self(url)),
            ("http", true) if plain == PlainHttp::Allowed || is_loopback(host) => Ok(Self(url)),
            ("http", true) => Err(AddressError::Plain { host: host.to_owned() }),
            (_, _) => Err(syntax()),
        }
    }

    /// The address of something there, by its path (see [`ahoy_signal::paths`]).
    pub(crate) fn http(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(path);
        url
    }

    /// The address of its WebSocket.
    pub(crate) fn socket(&self) -> String {
        let scheme = if self.is_encrypted() { "wss" } else { "ws" };
        let host = self.0.host_str().unwrap_or_default();
        let port = self.0.port().map_or_else(String::new, |port| format!(":{port}"));
        format!("{scheme}://{host}{port}{}", ahoy_signal::paths::SOCKET)
    }

    /// Whether what is said there is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Its name or IP address, without brackets.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(443)
    }
}

/// Begins links that the system opens with Ahoy (RFC 3986 section 3.1).
const SCHEME: &str = "ahoy:";

/// Stands before the fingerprint in a link's fragment.
const PIN: &str = "&pin=";

/// An invite link: `https://server/join/ROOM#TOKEN`. What follows `#` is for whoever opens it, and in no log. Links to a server
/// that somebody has made themselves go on with `&pin=FINGERPRINT`, of the server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteLink {
    /// The server.
    pub server: ServerUrl,
    /// The room.
    pub room: RoomId,
    /// Lets a guest in.
    pub token: InviteToken,
    /// The only certificate that the server is believed to have.
    pub pin: Option<Fingerprint>,
}

impl InviteLink {
    /// Reads a link, as it is or as a deep link: `ahoy:https://server/join/ROOM#TOKEN`, or `ahoy://server/join/ROOM#TOKEN`.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str, plain: PlainHttp) -> Result<Self, AddressError> {
        let text = text.trim();
        let web = match text.strip_prefix(SCHEME) {
            Some(rest) if rest.starts_with("//") => format!("https:{rest}"),
            Some(rest) => rest.to_owned(),
            None => text.to_owned(),
        };
        let link = Url::parse(&web).map_err(|_| AddressError::Link)?;
        let room = link.path().strip_prefix("/join/").and_then(|room| room.parse().ok());
        let secret = link.fragment().unwrap_or_default();
        let (token, pin) = match secret.split_once(PIN) {
            Some((token, pin)) => (token, Some(pin.parse().map_err(|_| AddressError::Link)?)),
            None => (secret, None),
        };
        let (Some(room), Ok(token)) = (room, InviteToken::new(token)) else { return Err(AddressError::Link) };
        let server = ServerUrl::parse(&link.origin().ascii_serialization(), plain)?;
        Ok(Self { server, room, token, pin })
    }

    /// A link that leads to a server with this certificate only.
    pub fn pinned(link: &str, pin: Fingerprint) -> String {
        format!("{link}{PIN}{pin}")
    }
}

fn is_loopback(host: &str) -> bool {
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    plain == "localhost" || plain.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads an address as [`ServerUrl::parse`] does with [`PlainHttp::LoopbackOnly`].
impl FromStr for ServerUrl {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text, PlainHttp::LoopbackOnly)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_scheme_is_encrypted() {
        let server: ServerUrl = " call.example.org ".parse().unwrap();
        assert_eq!(server.to_string(), "https://call.example.org");
        assert_eq!(server.socket(), "wss://call.example.org/v1/ws");
        let server: ServerUrl = "example.org:8443".parse().unwrap();
        assert_eq!((server.socket().as_str(), server.port()), ("wss://example.org:8443/v1/ws", 8443));
    }

    #[test]
    fn plain_http_is_for_this_machine_only_unless_somebody_chose_it() {
        for own in ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:8080", "http://127.9.9.9"] {
            assert!(own.parse::<ServerUrl>().is_ok(), "{own}");
        }
        for other in ["http://192.0.2.7", "http://localhost.example.org", "http://[2001:db8::1]"] {
            let error = other.parse::<ServerUrl>().unwrap_err();
            assert!(matches!(error, AddressError::Plain { .. }), "{other}: {error}");
            assert!(ServerUrl::parse(other, PlainHttp::Allowed).is_ok(), "{other}");
        }
        let own: ServerUrl = "http://[::1]:8080".parse().unwrap();
        assert_eq!((own.host(), own.port(), own.socket().as_str()), ("::1", 8080, "ws://[::1]:8080/v1/ws"));
    }

    #[test]
    fn an_invite_link_says_where_to_and_with_what() {
        let room = RoomId::from_bits(5);
        let text = format!("https://call.example.org:8443/join/{room}#eyJhbGciOi.J");
        let link = InviteLink::parse(&text, PlainHttp::LoopbackOnly).unwrap();
        assert_eq!((link.server.to_string().as_str(), link.room), ("https://call.example.org:8443", room));
        assert_eq!(link.token.as_str(), "eyJhbGciOi.J");
        let pin = Fingerprint::of(b"a certificate");
        let pinned = InviteLink::parse(&InviteLink::pinned(&text, pin), PlainHttp::LoopbackOnly).unwrap();
        assert_eq!((pinned.token.as_str(), pinned.pin), ("eyJhbGciOi.J", Some(pin)));
        for bad in [
            format!("{text}&pin=abc"),
            "https://call.example.org/join/room#eyJhbGciOi.J".to_owned(),
            format!("https://call.example.org/join/{room}"),
            format!("https://call.example.org/{room}#eyJhbGciOi.J"),
            room.to_string(),
        ] {
            assert_eq!(InviteLink::parse(&bad, PlainHttp::LoopbackOnly), Err(AddressError::Link), "{bad}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in
            ["", "https://", "ftp://example.org", "https://a@example.org", "https://example.org/x", "a b"]
        {
            assert!(matches!(bad.parse::<ServerUrl>(), Err(AddressError::Syntax { .. })), "{bad:?}");
        }
    }
}
