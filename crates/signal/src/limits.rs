//! What the protocol bounds, for both sides: a message that keeps to these is never refused for its size.

/// Longest message to the server, in bytes: a session description with several videos and room around it.
pub const MESSAGE_LONGEST: usize = 64 * 1024;
/// Longest message from the server, in bytes: the snapshot of a full room whose people have the longest names and chat.
pub const SERVER_MESSAGE_LONGEST: usize = 256 * 1024;
/// Shortest handle, in characters.
pub const HANDLE_SHORTEST: usize = 3;
/// Longest handle, in characters.
pub const HANDLE_LONGEST: usize = 32;
/// Longest name, in characters: what fits under a picture.
pub const NAME_LONGEST: usize = 64;
/// Shortest password, in characters (NIST SP 800-63B section 5.1.1).
pub const PASSWORD_SHORTEST: usize = 8;
/// Longest password, in bytes: enough for a sentence, and no work for nothing.
pub const PASSWORD_LONGEST: usize = 256;
/// Longest line of chat, in bytes.
pub const CHAT_LONGEST: usize = 4_000;
/// Longest session description, in bytes. With its escapes it fits a message.
pub const SDP_LONGEST: usize = 48 * 1024;
/// Longest candidate, in bytes. Real ones have up to about 250.
pub const CANDIDATE_LONGEST: usize = 1_024;
/// Longest token, in bytes.
pub const TOKEN_LONGEST: usize = 2_048;
/// Tracks that one participant can announce: microphone, camera and screen with its sound, and some to spare.
pub const TRACKS_MOST: usize = 8;
/// Longest name of a track, in bytes: the `mid` of an SDP media section (RFC 5888).
pub const TRACK_ID_LONGEST: usize = 32;
/// Most people that a room can hold.
pub const ROOM_CAPACITY_MOST: u16 = 100;
/// People that a room holds unless its host says otherwise.
pub const ROOM_CAPACITY_DEFAULT: u16 = 25;
/// Guests that can wait for a room at once.
pub const WAITING_MOST: usize = 50;
/// Lines of chat that a room remembers and a snapshot carries.
pub const CHAT_REMEMBERED: usize = 50;
/// The same in bytes of text; at least the newest line is remembered.
pub const CHAT_REMEMBERED_BYTES: usize = 16 * 1024;
/// Longest ICE username fragment (RFC 8839 section 5.4), which names an ICE generation.
pub const ICE_UFRAG_LONGEST: usize = 256;
/// Servers for ICE that one is told of. More only make gathering candidates slower (RFC 8445 section 5.1.1.2 paces each).
pub const ICE_SERVERS_MOST: usize = 8;
/// Addresses of one such server: over UDP, TCP and TLS, by IPv4 and IPv6.
pub const ICE_URLS_MOST: usize = 8;
/// Longest address of such a server, in bytes: a host name has up to 253 (RFC 1035 section 2.3.4).
pub const ICE_URL_LONGEST: usize = 256;
/// Longest username or password at such a server, in bytes (RFC 8489 section 14.3).
pub const ICE_USERNAME_LONGEST: usize = 508;
/// Rooms that a session can be in at once.
pub const ROOMS_JOINED_MOST: usize = 8;
/// Rooms that a user can have.
pub const ROOMS_OWNED_MOST: usize = 50;
/// Contacts that a user can have.
pub const CONTACTS_MOST: usize = 500;
/// Entries of an inbox that one answer holds at most.
pub const INBOX_PAGE: usize = 100;
/// The same in bytes of their items' JSON, so that the answer fits a message from the server; one entry always does.
pub const INBOX_PAGE_BYTES: usize = 192 * 1024;
/// Entries that an inbox holds; with more, the oldest are forgotten.
pub const INBOX_MOST: u64 = 5_000;
/// Candidates that are kept for a call that has not been answered yet.
pub const EARLY_CANDIDATES_MOST: usize = 64;
/// Longest client's name and version, in bytes each.
pub const CLIENT_INFO_LONGEST: usize = 64;
