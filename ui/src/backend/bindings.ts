// Generated from src-tauri/src/commands.rs. To update: cargo xtask generate

export type AppInfo = { 
/**
 * The version of Ahoy, as in `Cargo.toml`.
 */
version: string, 
/**
 * The operating system, named as Rust names it: `linux`, `macos`, `windows`.
 */
system: string, 
/**
 * The processor architecture, named as Rust names it: `x86_64`, `aarch64`.
 */
architecture: string, 
/**
 * The version of the system's web view, which draws the window; null where it does not tell.
 */
webview: string | null, 
/**
 * Whether the window is told when devices come or go; where it is not, it asks when it matters.
 */
notices_devices: boolean, };

export type Problem = { 
/**
 * Stable name for programs.
 */
code: ProblemCode, 
/**
 * A sentence for people at a terminal and for logs.
 */
message: string, 
/**
 * What people know the device by that it is about; null where it has no name or is not there.
 */
device: string | null, };

export type ProblemCode = "camera_missing" | "camera_not_connected" | "camera_busy" | "camera_denied" | "camera_lost" | "camera_stalled" | "camera_unusable" | "microphone_missing" | "microphone_not_connected" | "microphone_busy" | "microphone_denied" | "microphone_lost" | "microphone_stalled" | "microphone_unusable" | "speaker_missing" | "speaker_not_connected" | "speaker_busy" | "speaker_denied" | "speaker_lost" | "speaker_stalled" | "speaker_unusable" | "sound_system_missing" | "clip_unusable" | "sound_file_unusable" | "video_ended" | "recording" | "no_threads" | "not_connected" | "connection_lost" | "signaling" | "no_media" | "no_pictures" | "no_sound" | "slow_setup" | "frames_lost" | "low_frame_rate" | "freezes" | "poor_picture" | "high_latency" | "sound_gaps" | "lip_sync" | "call_failed" | "call_running" | "no_call" | "settings_not_kept" | "name_refused" | "handle_refused" | "password_refused" | "address_refused" | "server_unreachable" | "server_refused" | "wrong_credentials" | "handle_taken" | "sign_up_closed" | "too_often" | "nobody_found" | "sign_in_not_kept" | "not_signed_in" | "history_unusable" | "message_refused" | "link_refused" | "invite_invalid" | "room_full" | "room_locked" | "host_unusable" | "network_unasked";

export type Settings = { 
/**
 * What others see; empty until it is chosen.
 */
name: string, 
/**
 * Language of the window.
 */
language: Language, 
/**
 * Colours of the window.
 */
theme: Theme, 
/**
 * Id of the camera; null takes the first that there is.
 */
camera: string | null, 
/**
 * Id of the microphone; null takes the system's default.
 */
microphone: string | null, 
/**
 * Id of the speaker; null takes the system's default.
 */
speaker: string | null, 
/**
 * Id of the speaker at which calls ring; null takes the system's default, also where another is used in calls.
 */
ringer: string | null, 
/**
 * Size of the pictures that are sent.
 */
picture: PictureSize, 
/**
 * Whether one's own picture is shown as in a mirror. Others see it as it is.
 */
mirror_self: boolean, 
/**
 * Whether calls go by relays only, so that others learn no address of this machine.
 */
relay_only: boolean, 
/**
 * Whether the first run's questions are answered.
 */
first_run_done: boolean, };

export type SettingsChange = { 
/**
 * See [`Settings::name`]. Space around it is left out.
 */
name?: string, 
/**
 * See [`Settings::language`].
 */
language?: Language, 
/**
 * See [`Settings::theme`].
 */
theme?: Theme, 
/**
 * See [`Settings::camera`]; null goes back to the default.
 */
camera?: string | null, 
/**
 * See [`Settings::microphone`]; null goes back to the default.
 */
microphone?: string | null, 
/**
 * See [`Settings::speaker`]; null goes back to the default.
 */
speaker?: string | null, 
/**
 * See [`Settings::ringer`]; null goes back to the default.
 */
ringer?: string | null, 
/**
 * See [`Settings::picture`].
 */
picture?: PictureSize, 
/**
 * See [`Settings::mirror_self`].
 */
mirror_self?: boolean, 
/**
 * See [`Settings::relay_only`].
 */
relay_only?: boolean, 
/**
 * See [`Settings::first_run_done`].
 */
first_run_done?: boolean, };

export type Language = "system" | "en" | "zh";

export type Theme = "system" | "light" | "dark";

export type PictureSize = "360p" | "720p" | "1080p";

export type Devices = { 
/**
 * Cameras.
 */
cameras: Array<Camera>, 
/**
 * Microphones and other sound inputs, the default one first.
 */
microphones: Array<SoundDevice>, 
/**
 * Speakers and other sound outputs, the default one first.
 */
speakers: Array<SoundDevice>, 
/**
 * Why something is missing.
 */
problems: Array<Problem>, };

export type Camera = { 
/**
 * What to ask for it by: `camera:ID`.
 */
id: string, 
/**
 * What its maker calls it.
 */
name: string, 
/**
 * Picture formats that it offers, such as `YUYV 1280x720 at 30 fps`.
 */
formats: Array<string>, };

export type SoundDevice = { 
/**
 * What to ask for it by: `mic:ID` or `speaker:ID`.
 */
id: string, 
/**
 * What its maker or the system calls it.
 */
name: string, 
/**
 * Whether the system would use it when none is asked for.
 */
is_default: boolean, 
/**
 * The sound system that it belongs to.
 */
backend: string, };

export type Access = { 
/**
 * The WebSocket's address.
 */
url: string, 
/**
 * Good for one connection, soon.
 */
token: string, };

export type DeskEvent = { "type": "call", "data": CallSnapshot } | { "type": "stats", "data": CallStats } | { "type": "ended", "data": CallSummary } | { "type": "level", "data": MicrophoneLevel } | { "type": "devices", "data": Devices } | { "type": "preview", "data": PreviewSnapshot } | { "type": "settings", "data": Settings } | { "type": "people", "data": PeopleSnapshot } | { "type": "calls", "data": CallsView } | { "type": "over", "data": CallEnding } | { "type": "nearby", "data": Array<NearbyCall> } | { "type": "invited" } | { "type": "messages_changed" } | { "type": "recent_calls_changed" } | { "type": "failed", "data": Problem };

export type CallSnapshot = { 
/**
 * How far it is.
 */
phase: CallPhase, 
/**
 * Whether one's own sound is held back.
 */
muted: boolean, 
/**
 * Where pictures come from.
 */
camera: DeviceState, 
/**
 * Where sound comes from.
 */
microphone: DeviceState, 
/**
 * Where the received sound goes.
 */
speaker: DeviceState, 
/**
 * What went wrong so far, oldest first.
 */
problems: Array<Problem>, };

export type CallPhase = "connecting" | "running" | "ending";

export type DeviceState = { 
/**
 * How it is.
 */
standing: DeviceStanding, 
/**
 * Why it failed.
 */
trouble: Problem | null, };

export type DeviceStanding = "off" | "opening" | "on" | "failed";

export type CallStats = { 
/**
 * Milliseconds since the ends connected.
 */
at_ms: number, 
/**
 * Pictures.
 */
video: VideoStats, 
/**
 * Sound.
 */
audio: AudioStats, 
/**
 * The way between the two ends.
 */
network: NetworkStats, 
/**
 * The ways there are between them.
 */
ways: WaysStats, 
/**
 * Milliseconds from stage to stage, the median since the figures before; null where nothing came through.
 */
stages_ms: StageStats, 
/**
 * CPU of this process: 100 is one core.
 */
cpu_percent: number, 
/**
 * Resident memory of this process in MB (10^6 bytes).
 */
memory_mb: number, };

export type AddressKind = "host" | "srflx" | "prflx" | "relay";

export type AddressStats = { 
/**
 * Whether it is this side's.
 */
here: boolean, 
/**
 * What it is.
 */
kind: AddressKind, 
/**
 * Address and port.
 */
address: string, 
/**
 * Its priority (RFC 8445 section 5.1.2).
 */
priority: number, };

export type WayStats = { 
/**
 * What this side's address is.
 */
local_kind: AddressKind, 
/**
 * Where packets leave from.
 */
local: string, 
/**
 * What the other side's address is.
 */
remote_kind: AddressKind, 
/**
 * Where packets go to.
 */
remote: string, 
/**
 * How this side's relay is reached: `udp`, `tcp` or `tls`; null without one.
 */
relay_protocol: string | null, 
/**
 * There and back.
 */
round_trip_ms: number, 
/**
 * Whether sound and pictures go this way.
 */
in_use: boolean, 
/**
 * Whether it has stopped working.
 */
dead: boolean, };

export type WaysStats = { 
/**
 * Pairs that have worked.
 */
ways: Array<WayStats>, 
/**
 * Addresses of both sides, the preferred ones first.
 */
addresses: Array<AddressStats>, };

export type VideoStats = { 
/**
 * From the camera.
 */
fps_captured: number, 
/**
 * Through the encoder.
 */
fps_encoded: number, 
/**
 * Into the network.
 */
fps_sent: number, 
/**
 * Out of it, whole.
 */
fps_received: number, 
/**
 * Through the decoder, or to the window's.
 */
fps_decoded: number, 
/**
 * Visible.
 */
fps_shown: number, 
/**
 * Payload sent.
 */
bitrate_kbps: number, 
/**
 * Asked of the camera.
 */
width: number, 
/**
 * Asked of the camera.
 */
height: number, 
/**
 * From capture to visible, the median since the figures before.
 */
latency_ms: number | null, 
/**
 * Freezes so far, as webrtc-stats counts them.
 */
freezes: number, 
/**
 * How long they lasted together.
 */
freeze_ms: number, };

export type AudioStats = { 
/**
 * Payload sent.
 */
bitrate_kbps: number, 
/**
 * From the microphone to the speaker, of the sound recognised last.
 */
delay_ms: number | null, 
/**
 * Share of the last sound that was made up because packets were missing.
 */
concealed_percent: number, 
/**
 * Loudest sample from the microphone since the figures before, 0.0 to 1.0.
 */
level_in: number, 
/**
 * Loudest sample to the speaker.
 */
level_out: number, };

export type NetworkStats = { 
/**
 * Packets lost of those sent, as the receiver reports.
 */
loss_percent: number, 
/**
 * Jitter of the sound's packets (RFC 3550 section 6.4.1).
 */
jitter_ms: number, 
/**
 * There and back.
 */
round_trip_ms: number | null, };

export type StageStats = { 
/**
 * From capture to the encoder.
 */
capture_to_encode: number | null, 
/**
 * In the encoder.
 */
encode: number | null, 
/**
 * From the encoder to the last packet's arrival.
 */
network: number | null, 
/**
 * In the jitter buffer.
 */
jitter_buffer: number | null, 
/**
 * In the decoder; of the window, until it has drawn.
 */
decode: number | null, 
/**
 * Waiting to be shown.
 */
show: number | null, };

export type CallSummary = { 
/**
 * With whom it was, and how it ended; null for a test call.
 */
with: CallEnding | null, 
/**
 * How long it lasted.
 */
seconds: number, 
/**
 * Whether nothing went wrong or fell short.
 */
ok: boolean, 
/**
 * What did, in the order noticed.
 */
problems: Array<Problem>, 
/**
 * From the start to the first picture or, without pictures, the first sound.
 */
setup_ms: number | null, 
/**
 * Pictures shown each second; null without pictures.
 */
fps: number | null, 
/**
 * Times that the picture stood still.
 */
freezes: number | null, 
/**
 * From capture to visible, the median.
 */
latency_ms: number | null, 
/**
 * In the decoder, the median; where the window decodes, from here until it has drawn.
 */
decode_ms: number | null, 
/**
 * The same, the 95th percentile.
 */
decode_p95_ms: number | null, 
/**
 * From the microphone to the speaker, the median.
 */
audio_delay_ms: number | null, 
/**
 * Payload of the pictures.
 */
bitrate_kbps: number | null, };

export type MicrophoneLevel = { 
/**
 * Loudest sample of the last 50 ms, 0.0 to 1.0.
 */
level: number, 
/**
 * Whether it was too loud for the microphone.
 */
clipped: boolean, };

export type PreviewSnapshot = { 
/**
 * Where pictures come from.
 */
camera: DeviceState, 
/**
 * Where sound comes from.
 */
microphone: DeviceState, };

export type PeopleSnapshot = { 
/**
 * Whoever is signed in.
 */
me: Me | null, 
/**
 * The connection to the server.
 */
connection: Connection, 
/**
 * Everybody one knows, by name.
 */
contacts: Array<Contact>, };

export type Me = { 
/**
 * What one is found by.
 */
handle: string, 
/**
 * What one is called.
 */
name: string, 
/**
 * The server's address.
 */
server: string, };

export type Connection = "none" | "connecting" | "online" | "gave_up" | "signed_out";

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

export type UserId = string;

export type Handle = string;

export type Name = string;

export type Credentials = { 
/**
 * The server's address.
 */
server: string, 
/**
 * What one is found by.
 */
handle: string, 
/**
 * The password.
 */
password: string, };

export type CallsView = { 
/**
 * The call that one is in, or makes.
 */
current: PersonCall | null, 
/**
 * Calls that ring here, the oldest first.
 */
ringing: Array<RingingCall>, };

export type PersonCall = { 
/**
 * Who: their id; empty where nobody is there yet.
 */
user: string, 
/**
 * What they are found by.
 */
handle: string, 
/**
 * What they are called.
 */
name: string, 
/**
 * Whether one has called them.
 */
outgoing: boolean, 
/**
 * How far it is.
 */
stage: CallStage, 
/**
 * Whether one has put it on hold.
 */
held: boolean, 
/**
 * Whether they have.
 */
held_there: boolean, 
/**
 * Whether their microphone is off.
 */
muted_there: boolean, 
/**
 * Whether they send pictures; null until they have said so.
 */
camera_there: boolean | null, 
/**
 * What others join it by; null for a call between two contacts.
 */
link: CallLink | null, 
/**
 * Whether this computer is the server, and people on the same network find the call.
 */
hosted: boolean, 
/**
 * Those who wait to be let in.
 */
lobby: Array<LobbyGuest>, };

export type CallLink = { 
/**
 * The link.
 */
url: string, 
/**
 * The same for a camera.
 */
qr: QrCode, };

export type QrCode = { 
/**
 * Modules on each side, with the white around them.
 */
size: number, 
/**
 * What is dark, as the data of an SVG path.
 */
path: string, };

export type Invitation = { 
/**
 * The link, as it was given.
 */
link: string, 
/**
 * The server that it leads to.
 */
server: string, };

export type LobbyGuest = { 
/**
 * Names them in commands.
 */
participant: string, 
/**
 * What they call themselves.
 */
name: string, };

export type NearbyCall = { 
/**
 * Who says to host it.
 */
name: string, 
/**
 * Leads there.
 */
link: string, };

export type CallNotice = { 
/**
 * Which call.
 */
call: string, 
/**
 * Whether it is taken with pictures.
 */
video: boolean, 
/**
 * Who calls.
 */
title: string, 
/**
 * That they do.
 */
text: string, 
/**
 * The button that takes it.
 */
accept: string, 
/**
 * The button that declines it.
 */
decline: string, };

export type CallStage = "calling" | "ringing" | "waiting" | "connecting" | "connected" | "reconnecting";

export type RingingCall = { 
/**
 * Names it in commands.
 */
call: string, 
/**
 * What they are found by.
 */
handle: string, 
/**
 * What they are called.
 */
name: string, 
/**
 * Whether with pictures.
 */
video: boolean, };

export type CallEnding = { 
/**
 * What they are found by.
 */
handle: string, 
/**
 * What they are called.
 */
name: string, 
/**
 * Whether one has called them.
 */
outgoing: boolean, 
/**
 * How it ended.
 */
how: Ending, };

export type Ending = "hung_up" | "cancelled" | "declined_here" | "declined" | "busy" | "no_answer" | "offline" | "missed" | "elsewhere" | "no_connection" | "connection_lost" | "no_server" | "refused" | "not_admitted" | "removed";

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

export type MessageId = string;

export type Conversation = { 
/**
 * Who.
 */
with: CallPeer, 
/**
 * The newest message.
 */
last: Message, 
/**
 * How many of their messages one has not seen.
 */
unread: number, };

export type Message = { 
/**
 * Which.
 */
message: MessageId, 
/**
 * What it says.
 */
text: string, 
/**
 * When it was written, in milliseconds since 1970: by the server's clock, where the server has it.
 */
at_ms: number, 
/**
 * How far it is, and so who wrote it.
 */
state: MessageState, };

export type MessageState = "received" | "sending" | "sent" | "delivered" | "read" | "failed";

export type RecentCall = { 
/**
 * Which.
 */
call: string, 
/**
 * With whom.
 */
with: CallPeer, 
/**
 * Whether one has called them.
 */
outgoing: boolean, 
/**
 * Whether it was asked for with pictures.
 */
video: boolean, 
/**
 * How it ended.
 */
how: Ending, 
/**
 * When it began to ring, in milliseconds since 1970.
 */
at_ms: number, 
/**
 * For how long both were in it, in seconds; null where nobody answered.
 */
seconds: number | null, 
/**
 * Whether one knows of it.
 */
seen: boolean, };
