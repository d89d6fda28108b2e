// Generated from crates/signal. To update: cargo xtask generate

export type RequestId = number;

export type Epoch = string;

export type UserId = string;

export type DeviceId = string;

export type SessionId = string;

export type RoomId = string;

export type ParticipantId = string;

export type CallId = string;

export type LinkEnd = string;

export type ChatId = string;

export type Handle = string;

export type Name = string;

export type ChatText = string;

export type Sdp = string;

export type CandidateLine = string;

export type IceGeneration = string;

export type IceUrl = string;

export type IceUsername = string;

export type IceCredential = string;

export type IceServer = { 
/**
 * The ways to it, at least one, and at most [`limits::ICE_URLS_MOST`].
 */
urls: Array<IceUrl>, 
/**
 * Who one is to it; absent for STUN.
 */
username?: IceUsername, 
/**
 * What proves that; absent for STUN.
 */
credential?: IceCredential, };

export type AccessToken = string;

export type ResumeToken = string;

export type ClientEnvelope = { 
/**
 * [`VERSION`].
 */
v: number, 
/**
 * Numbers requests; absent from `ping`, and from what opens a connection (`hello`, `resume`).
 */
id?: RequestId, 
/**
 * The last `seq` received: the server forgets what it kept up to there.
 */
ack?: number, 
/**
 * The room that it is about, where it is about one.
 */
room?: RoomId, 
/**
 * What is said.
 */
body: ClientMessage, };

export type ServerEnvelope = { 
/**
 * [`VERSION`].
 */
v: number, 
/**
 * The request that this answers.
 */
re?: RequestId, 
/**
 * Numbers what is kept for this session until it is acknowledged, and sent again when it resumes: answers, and news
 * that no room's history holds. 1, 2, 3 … without gaps.
 */
seq?: number, 
/**
 * The room that it is about.
 */
room?: RoomId, 
/**
 * Where in the room's history this stands.
 */
pos?: Position, 
/**
 * What is said.
 */
body: ServerMessage, };

export type ClientMessage = { "type": "hello", 
/**
 * Who one is. A token opens one connection.
 */
token: AccessToken, 
/**
 * Which program it is.
 */
client: ClientInfo, } | { "type": "resume", 
/**
 * Which.
 */
session: SessionId, 
/**
 * The token of the last `welcome` or `resumed`, which is used up by this.
 */
resume_token: ResumeToken, 
/**
 * The last `seq` received.
 */
seq: number, } | { "type": "reauth", 
/**
 * A fresh one.
 */
token: AccessToken, } | { "type": "ping", } | { "type": "bye", } | { "type": "ice_servers", } | { "type": "contacts", } | { "type": "contact_add", 
/**
 * Whom.
 */
handle: Handle, } | { "type": "contact_remove", 
/**
 * Whom.
 */
user: UserId, } | { "type": "contact_block", 
/**
 * Whom.
 */
user: UserId, } | { "type": "inbox", 
/**
 * The number of the last entry that one knows; 0 for none.
 */
after: number, } | { "type": "message", 
/**
 * The message, new.
 */
message: MessageId, 
/**
 * Whom to.
 */
to: UserId, 
/**
 * What.
 */
text: ChatText, } | { "type": "message_mark", 
/**
 * Up to which.
 */
message: MessageId, 
/**
 * How far.
 */
mark: MessageMark, } | { "type": "rooms", } | { "type": "room_create", 
/**
 * What it is called.
 */
name: Name, 
/**
 * How it is; what is left out has its default.
 */
settings: RoomSettings, } | { "type": "room_change", 
/**
 * What to change.
 */
change: RoomSettingsChange, } | { "type": "room_delete", } | { "type": "join", 
/**
 * What one has seen of it before: what came since is then told instead of everything.
 */
since?: Position, } | { "type": "leave", } | { "type": "sync", 
/**
 * What one has seen.
 */
since?: Position, } | { "type": "admit", 
/**
 * Whom.
 */
participant: ParticipantId, } | { "type": "remove", 
/**
 * Whom.
 */
participant: ParticipantId, } | { "type": "set_role", 
/**
 * Whom.
 */
participant: ParticipantId, 
/**
 * Which.
 */
role: Role, } | { "type": "set_state", 
/**
 * What.
 */
entry: StateEntry, } | { "type": "mute", 
/**
 * Whom.
 */
participant: ParticipantId, } | { "type": "room_signal", 
/**
 * Whom.
 */
to: ParticipantId, 
/**
 * Which connection: whoever offers numbers them, from 1. What belongs to one before the last is stale.
 */
connection: number, 
/**
 * What.
 */
signal: CallSignal, } | { "type": "chat", 
/**
 * What.
 */
text: ChatText, } | { "type": "call", 
/**
 * The call, new.
 */
call: CallId, 
/**
 * Whom.
 */
to: UserId, 
/**
 * With pictures or without.
 */
media: CallMedia, } | { "type": "call_accept", 
/**
 * Which.
 */
call: CallId, } | { "type": "call_decline", 
/**
 * Which.
 */
call: CallId, 
/**
 * Whether that is because of another call.
 */
busy: boolean, } | { "type": "call_hang_up", 
/**
 * Which.
 */
call: CallId, } | { "type": "call_signal", 
/**
 * Which.
 */
call: CallId, 
/**
 * What.
 */
signal: CallSignal, } | { "type": "link", 
/**
 * Whom.
 */
to: UserId, 
/**
 * One's own end.
 */
end: LinkEnd, 
/**
 * Theirs; all that there may be, without.
 */
at?: LinkEnd, 
/**
 * What.
 */
said: LinkSaid, };

export type ServerMessage = { "type": "welcome" } & Welcome | { "type": "resumed", 
/**
 * Resumes it the next time, once.
 */
resume_token: ResumeToken, 
/**
 * When the access token runs out, in seconds from now.
 */
token_expires_in_s: number, 
/**
 * The highest request number that the server has: what has a higher one must be sent again.
 */
last_request: number, } | { "type": "done", } | { "type": "error" } & Refusal | { "type": "pong", } | { "type": "reconnect", 
/**
 * Random for each, so that not all come at once.
 */
after_ms: number, } | { "type": "ice_servers", 
/**
 * At most [`limits::ICE_SERVERS_MOST`](crate::limits::ICE_SERVERS_MOST); none where this server knows of none.
 */
servers: Array<IceServer>, 
/**
 * For how long the credentials allow to begin something, in seconds; what has begun goes on.
 */
expires_in_s: number, } | { "type": "contacts", 
/**
 * In the order of their names.
 */
contacts: Array<Contact>, } | { "type": "contact", 
/**
 * The contact.
 */
contact: Contact, } | { "type": "contact_gone", 
/**
 * Who.
 */
user: UserId, } | { "type": "inbox", 
/**
 * In order. There is more as long as the last one's number is below `last`.
 */
entries: Array<InboxEntry>, 
/**
 * The number of the newest entry; 0 where there has been none.
 */
last: number, } | { "type": "inbox_entry", 
/**
 * The entry.
 */
entry: InboxEntry, } | { "type": "rooms", 
/**
 * In the order of their names.
 */
rooms: Array<RoomInfo>, } | { "type": "room", 
/**
 * The room.
 */
room: RoomInfo, } | { "type": "joined", 
/**
 * Who one is there.
 */
participant: ParticipantId, 
/**
 * What one may do there.
 */
role: Role, 
/**
 * Whether `missed` continues what one said one had seen.
 */
recovered: boolean, 
/**
 * What one has missed, in order.
 */
missed?: Array<PositionedDelta>, 
/**
 * The whole room, where it was not recovered.
 */
snapshot?: RoomSnapshot, } | { "type": "waiting", 
/**
 * Who one would be there.
 */
participant: ParticipantId, } | { "type": "left", 
/**
 * Why.
 */
reason: LeaveReason, } | { "type": "delta", 
/**
 * How.
 */
delta: RoomDelta, } | { "type": "snapshot", 
/**
 * The room.
 */
snapshot: RoomSnapshot, } | { "type": "checkpoint", 
/**
 * See `RoomState::hash`.
 */
hash: string, } | { "type": "lobby", 
/**
 * All of them, in the order they came.
 */
waiting: Array<WaitingGuest>, } | { "type": "mute_requested", 
/**
 * Who.
 */
by: ParticipantId, } | { "type": "room_signal", 
/**
 * Who.
 */
from: ParticipantId, 
/**
 * Which connection.
 */
connection: number, 
/**
 * What.
 */
signal: CallSignal, } | { "type": "call_ringing", 
/**
 * Which.
 */
call: CallId, 
/**
 * At how many devices.
 */
devices: number, 
/**
 * For how long at most, in seconds.
 */
timeout_s: number, } | { "type": "call_incoming", 
/**
 * Which.
 */
call: CallId, 
/**
 * Who.
 */
from: CallPeer, 
/**
 * With pictures or without.
 */
media: CallMedia, 
/**
 * For how long at most it rings, in seconds.
 */
timeout_s: number, } | { "type": "call_answered", 
/**
 * Which.
 */
call: CallId, 
/**
 * With whom.
 */
peer: CallPeer, 
/**
 * Whether this side offers first, and is the impolite one when offers cross (W3C WebRTC section 10.7).
 */
offers: boolean, } | { "type": "call_signal", 
/**
 * Which.
 */
call: CallId, 
/**
 * What.
 */
signal: CallSignal, } | { "type": "call_ended", 
/**
 * Which.
 */
call: CallId, 
/**
 * Why.
 */
reason: CallEnd, } | { "type": "link", 
/**
 * Whose.
 */
from: CallPeer, 
/**
 * Its end.
 */
end: LinkEnd, 
/**
 * The end that it is for; all of one's programs, without.
 */
at?: LinkEnd, 
/**
 * What.
 */
said: LinkSaid, };

export type Welcome = { 
/**
 * The session.
 */
session: SessionId, 
/**
 * Resumes it, once.
 */
resume_token: ResumeToken, 
/**
 * How long it waits to be resumed, in seconds.
 */
resume_window_s: number, 
/**
 * How often to `ping`, in seconds. After two and a half times that without a message either side gives the connection
 * up.
 */
heartbeat_s: number, 
/**
 * When the access token runs out, in seconds from now. `reauth` before that.
 */
token_expires_in_s: number, 
/**
 * Who one is.
 */
user: UserId, 
/**
 * Which of one's devices this is.
 */
device: DeviceId, 
/**
 * Absent for guests.
 */
handle?: Handle, 
/**
 * What one is called.
 */
name: Name, 
/**
 * The server's name and version.
 */
server: string, 
/**
 * Calls that one has part in.
 */
calls: Array<CallSummary>, };

export type ClientInfo = { 
/**
 * Such as `ahoy-cli`.
 */
name: string, 
/**
 * Such as `0.1.0`.
 */
version: string, };

export type Position = { 
/**
 * The room's life.
 */
epoch: Epoch, 
/**
 * The number of the last change in it.
 */
offset: number, };

export type Refusal = { 
/**
 * For programs.
 */
code: ErrorCode, 
/**
 * For people: what is wrong and what to do, in English.
 */
message: string, 
/**
 * When to try again at the earliest, in milliseconds.
 */
retry_after_ms?: number, };

export type ErrorCode = "bad_message" | "unknown_type" | "unsupported_version" | "message_too_large" | "envelope_incomplete" | "out_of_place" | "unauthenticated" | "token_expired" | "token_used" | "session_gone" | "wrong_credentials" | "signed_out" | "handle_taken" | "sign_up_closed" | "forbidden" | "no_such_room" | "no_such_user" | "no_such_participant" | "no_such_device" | "room_full" | "room_locked" | "not_admitted" | "not_in_room" | "invite_invalid" | "no_such_call" | "busy" | "not_a_contact" | "no_such_message" | "offline" | "too_many" | "rate_limited" | "unavailable" | "shutting_down" | "internal";

export type Contact = { 
/**
 * Who it is.
 */
user: UserId, 
/**
 * What they are found by.
 */
handle: Handle, 
/**
 * What they are called.
 */
name: Name, 
/**
 * How one stands to them.
 */
standing: ContactStanding, 
/**
 * Known of contacts only; others are offline.
 */
presence: Presence, };

export type ContactStanding = "asked" | "asking" | "contact" | "blocked";

export type Presence = "online" | "in_call" | "offline";

export type MessageId = string;

export type InboxEntry = { 
/**
 * Its place: each is one more than the last. The first ones may be gone, those of a long time ago are forgotten.
 */
number: number, 
/**
 * When the server had it, in milliseconds since 1970 by the server's clock.
 */
at_ms: number, 
/**
 * What it is.
 */
item: InboxItem, };

export type InboxItem = { "type": "message", 
/**
 * Which.
 */
message: MessageId, 
/**
 * The contact.
 */
with: CallPeer, 
/**
 * Whether the user has sent it.
 */
sent: boolean, 
/**
 * What it says.
 */
text: ChatText, } | { "type": "marked", 
/**
 * The contact.
 */
with: UserId, 
/**
 * Up to which.
 */
message: MessageId, 
/**
 * How far.
 */
mark: MessageMark, 
/**
 * Whether they are the user's own, which the contact has; otherwise the contact's, which the user has.
 */
sent: boolean, } | { "type": "missed_call", 
/**
 * Which call.
 */
call: CallId, 
/**
 * Who.
 */
from: CallPeer, 
/**
 * With pictures or without.
 */
media: CallMedia, };

export type MessageMark = "delivered" | "read";

export type RoomInfo = { 
/**
 * Which.
 */
room: RoomId, 
/**
 * What it is called.
 */
name: Name, 
/**
 * Its host.
 */
host: UserId, 
/**
 * How it is set up.
 */
settings: RoomSettings, 
/**
 * How many people are in it now.
 */
people: number, };

export type RoomSettings = { 
/**
 * How many people it holds: 2 to [`limits::ROOM_CAPACITY_MOST`].
 */
capacity: number, 
/**
 * Whether guests, and members who are not moderators, wait until someone lets them in.
 */
waiting_room: boolean, 
/**
 * Whether nobody new comes in but the host.
 */
locked: boolean, };

export type RoomSettingsChange = { 
/**
 * What it is called.
 */
name?: Name, 
/**
 * See [`RoomSettings::capacity`].
 */
capacity?: number, 
/**
 * See [`RoomSettings::waiting_room`].
 */
waiting_room?: boolean, 
/**
 * See [`RoomSettings::locked`].
 */
locked?: boolean, };

export type RoomSnapshot = { 
/**
 * What it is called.
 */
name: Name, 
/**
 * How it is set up.
 */
settings: RoomSettings, 
/**
 * Who is in it, in the order they came.
 */
participants: Array<Participant>, 
/**
 * What they say about themselves. What is not said is off.
 */
states: Array<ParticipantState>, 
/**
 * The latest lines of chat, oldest first.
 */
chat: Array<ChatMessage>, };

export type RoomDelta = { "kind": "roster", 
/**
 * Everybody.
 */
participants: Array<Participant>, } | { "kind": "state", 
/**
 * Who.
 */
participant: ParticipantId, 
/**
 * What.
 */
entry: StateEntry, } | { "kind": "chat", 
/**
 * What.
 */
message: ChatMessage, } | { "kind": "settings", 
/**
 * What it is called.
 */
name: Name, 
/**
 * How it is set up.
 */
settings: RoomSettings, };

export type PositionedDelta = { 
/**
 * Its number.
 */
offset: number, 
/**
 * The change.
 */
delta: RoomDelta, };

export type Participant = { 
/**
 * Their place in the room.
 */
id: ParticipantId, 
/**
 * Who they are: someone with two devices in the room is there twice.
 */
user: UserId, 
/**
 * What they are called.
 */
name: Name, 
/**
 * What they may do.
 */
role: Role, 
/**
 * Whether they can be reached.
 */
link: Link, };

export type ParticipantState = { 
/**
 * Who.
 */
participant: ParticipantId, 
/**
 * Everything they have said so far.
 */
entries: Array<StateEntry>, };

export type Role = "guest" | "member" | "moderator" | "host";

export type Link = "online" | "reconnecting";

export type StateEntry = { "key": "muted", "value": boolean } | { "key": "camera_off", "value": boolean } | { "key": "hand", "value": boolean } | { "key": "screen", "value": boolean } | { "key": "tracks", "value": Tracks };

export type Tracks = Array<Track>;

export type Track = { 
/**
 * The `mid` of its media section (RFC 5888).
 */
mid: string, 
/**
 * What it carries.
 */
kind: TrackKind, 
/**
 * Width in pixels of what is sent at most; 0 for sound.
 */
width: number, 
/**
 * Height in pixels of what is sent at most; 0 for sound.
 */
height: number, };

export type TrackKind = "microphone" | "camera" | "screen" | "screen_audio";

export type ChatMessage = { 
/**
 * Which.
 */
id: ChatId, 
/**
 * Whose.
 */
user: UserId, 
/**
 * What they were called then.
 */
name: Name, 
/**
 * When the server had it, in milliseconds since 1970 by its clock.
 */
at_ms: number, 
/**
 * What was said.
 */
text: ChatText, };

export type WaitingGuest = { 
/**
 * Their place in the room, once they are let in.
 */
id: ParticipantId, 
/**
 * What they are called.
 */
name: Name, 
/**
 * Whether they have no account.
 */
guest: boolean, };

export type LeaveReason = "left" | "removed" | "not_admitted" | "room_deleted" | "connection_lost";

export type CallSummary = { 
/**
 * Which.
 */
call: CallId, 
/**
 * With whom.
 */
peer: CallPeer, 
/**
 * Voice or picture.
 */
media: CallMedia, 
/**
 * How far it is.
 */
stage: CallStage, };

export type CallPeer = { 
/**
 * Who it is.
 */
user: UserId, 
/**
 * What they are found by.
 */
handle: Handle, 
/**
 * What they are called.
 */
name: Name, };

export type CallMedia = "audio" | "video";

export type CallStage = "calling" | "incoming" | "answered";

export type CallEnd = "hung_up" | "cancelled" | "declined" | "busy" | "timed_out" | "answered_elsewhere" | "declined_elsewhere" | "peer_gone" | "merged";

export type CallSignal = { "type": "description", 
/**
 * Offer or answer.
 */
kind: DescriptionKind, 
/**
 * Numbers the sender's descriptions in this call: 1, 2, 3 …; one with a number that is not higher than the last is
 * stale.
 */
revision: number, 
/**
 * The ICE generation that it begins or goes on with.
 */
generation: IceGeneration, 
/**
 * The description.
 */
sdp: Sdp, } | { "type": "candidate", 
/**
 * The candidate.
 */
candidate: CandidateLine, 
/**
 * The media section that it belongs to, by its identification tag (RFC 5888).
 */
sdp_mid?: string, 
/**
 * The media section that it belongs to, by its position.
 */
sdp_mline_index?: number, 
/**
 * The ICE generation that it belongs to: those of another than the current one are stale.
 */
generation: IceGeneration, };

export type LinkSaid = { "type": "knock", } | { "type": "here", } | { "type": "signal", 
/**
 * What.
 */
signal: CallSignal, } | { "type": "close", };

export type DescriptionKind = "offer" | "answer";
