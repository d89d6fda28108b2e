// Generated from src-tauri/src/commands. To update: cargo xtask generate

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

export type ProblemCode = "camera_missing" | "camera_not_connected" | "camera_busy" | "camera_denied" | "camera_lost" | "camera_stalled" | "camera_unusable" | "microphone_missing" | "microphone_not_connected" | "microphone_busy" | "microphone_denied" | "microphone_lost" | "microphone_stalled" | "microphone_unusable" | "speaker_missing" | "speaker_not_connected" | "speaker_busy" | "speaker_denied" | "speaker_lost" | "speaker_stalled" | "speaker_unusable" | "sound_system_missing" | "clip_unusable" | "sound_file_unusable" | "video_ended" | "recording" | "no_threads" | "not_connected" | "no_relay" | "connection_lost" | "signaling" | "no_media" | "no_pictures" | "no_sound" | "slow_setup" | "frames_lost" | "low_frame_rate" | "freezes" | "poor_picture" | "high_latency" | "sound_gaps" | "lip_sync" | "call_failed" | "call_running" | "no_call" | "settings_not_kept" | "name_refused" | "handle_refused" | "password_refused" | "address_refused" | "server_unreachable" | "server_refused" | "wrong_credentials" | "handle_taken" | "sign_up_closed" | "too_often" | "nobody_found" | "sign_in_not_kept" | "not_signed_in" | "history_unusable" | "message_refused" | "link_refused" | "invite_invalid" | "room_full" | "room_locked" | "host_unusable" | "network_unasked" | "transfers_unusable" | "no_transfer" | "nothing_picked" | "nothing_to_send" | "too_many_files" | "folder_missing";

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
 * Whether pictures are smaller and fewer to save power.
 */
save_power: SavePower, 
/**
 * Whether calls go by relays only, so that others learn no address of this machine.
 */
relay_only: boolean, 
/**
 * Where files go that others send; null takes the system's folder for downloads.
 */
files_folder: string | null, 
/**
 * Ids of those whose files are taken unasked.
 */
files_from: Array<string>, 
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
 * See [`Settings::save_power`].
 */
save_power?: SavePower, 
/**
 * See [`Settings::relay_only`].
 */
relay_only?: boolean, 
/**
 * See [`Settings::files_folder`]; null goes back to the default.
 */
files_folder?: string | null, 
/**
 * See [`Settings::files_from`].
 */
files_from?: Array<string>, 
/**
 * See [`Settings::first_run_done`].
 */
first_run_done?: boolean, };

export type Language = "system" | "en" | "zh";

export type Theme = "system" | "light" | "dark";

export type PictureSize = "360p" | "720p" | "1080p";

export type SavePower = "auto" | "always" | "never";

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

export type DeskEvent = { "type": "call", "data": CallSnapshot } | { "type": "stats", "data": CallStats } | { "type": "ended", "data": CallSummary } | { "type": "level", "data": MicrophoneLevel } | { "type": "devices", "data": Devices } | { "type": "preview", "data": PreviewSnapshot } | { "type": "settings", "data": Settings } | { "type": "people", "data": PeopleSnapshot } | { "type": "calls", "data": CallsView } | { "type": "over", "data": CallEnding } | { "type": "nearby", "data": Array<NearbyCall> } | { "type": "connection_check", "data": Progress } | { "type": "invited" } | { "type": "messages_changed" } | { "type": "recent_calls_changed" } | { "type": "transfer", "data": TransferView } | { "type": "files_dragged", "data": boolean } | { "type": "files_picked", "data": PickedFiles } | { "type": "failed", "data": Problem };

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
 * What may be sent, and what is; null before there is a connection.
 */
sending: SendingStats | null, 
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
priority: number, 
/**
 * Whether it takes connections by TCP, and no datagrams.
 */
is_tcp: boolean, };

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
 * Whether the two are connected by TCP, and not by datagrams.
 */
is_tcp: boolean, 
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

export type SendingStats = { 
/**
 * What may be sent, with all headers.
 */
target_kbps: number, 
/**
 * What is sent, with all headers.
 */
sent_kbps: number, 
/**
 * What arrives.
 */
acknowledged_kbps: number, 
/**
 * For how long packets wait in queues on the way.
 */
queue_ms: number, 
/**
 * Packets that are lost.
 */
loss_percent: number, 
/**
 * There and back, with the time until the other side reports.
 */
round_trip_ms: number, 
/**
 * Why the target is what it is.
 */
reason: Reason, 
/**
 * How pictures are made; null where none are.
 */
picture: SentPicture | null, 
/**
 * What keeps pictures from being better; null where none were made yet.
 */
limited_by: Cause | null, };

export type SentPicture = { 
/**
 * In pixels.
 */
width: number, 
/**
 * In pixels.
 */
height: number, 
/**
 * How many a second at most.
 */
fps: number, 
/**
 * What they may take.
 */
bitrate_kbps: number, };

export type Reason = "start" | "headroom" | "balance" | "drain" | "compete" | "loss" | "silence";

export type Cause = "full" | "network" | "processor" | "viewer" | "saving";

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
 * Whether their pictures are held back for now, because their connection carries nothing but sound.
 */
paused_there: boolean, 
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

export type Notice = { 
/**
 * What it is.
 */
about: About, 
/**
 * Who wants something.
 */
title: string, 
/**
 * What they want.
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

export type About = { "type": "call", 
/**
 * Which call.
 */
call: string, 
/**
 * Whether it is taken with pictures.
 */
video: boolean, } | { "type": "files", 
/**
 * Which transfer.
 */
transfer: string, };

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

export type TransferView = { 
/**
 * Which: 32 hexadecimal digits.
 */
id: string, 
/**
 * With whom.
 */
person: string, 
/**
 * In which direction.
 */
way: Way, 
/**
 * How far it is.
 */
stage: Stage, 
/**
 * What is at the top of it: the first names.
 */
names: Array<string>, 
/**
 * How many there are at the top.
 */
tops: number, 
/**
 * Files that are wanted.
 */
files: number, 
/**
 * Of these, those that are where they belong.
 */
done: number, 
/**
 * Of these, those that failed.
 */
failed: number, 
/**
 * Bytes of the files that are wanted.
 */
bytes: number, 
/**
 * Bytes that are there.
 */
moved: number, 
/**
 * Whether there is a connection.
 */
connected: boolean, 
/**
 * Whether it was stopped on this side.
 */
paused_here: boolean, 
/**
 * Whether it was stopped on the other.
 */
paused_there: boolean, 
/**
 * Why it was stopped, where nobody asked for that, or why files failed.
 */
trouble: string | null, 
/**
 * Bytes per second.
 */
speed: number | null, 
/**
 * Seconds that the rest will take.
 */
left_s: number | null, 
/**
 * Where it goes, or went.
 */
folder: string | null, };

export type Way = "sent" | "received";

export type Stage = "offered" | "going" | "ended";

export type FileView = { 
/**
 * Which: its number in the transfer.
 */
number: number, 
/**
 * Where it is in the transfer, with slashes.
 */
path: string, 
/**
 * In bytes.
 */
size: number, 
/**
 * Bytes that are there.
 */
moved: number, 
/**
 * How it is doing.
 */
stage: FileStage, 
/**
 * Why it failed.
 */
reason: string | null, };

export type FileStage = "waiting" | "moving" | "checking" | "done" | "failed" | "skipped";

export type PickedFiles = { 
/**
 * The first names.
 */
names: Array<string>, 
/**
 * How many files and folders there are.
 */
count: number, };

export type SentFiles = { 
/**
 * The transfer.
 */
id: string, 
/**
 * What is not sent: the first of it.
 */
left_out: Array<LeftOutFile>, 
/**
 * How much is not sent.
 */
left_out_count: number, };

export type LeftOutFile = { 
/**
 * What it is called.
 */
name: string, 
/**
 * Why.
 */
why: LeftOutReason, };

export type LeftOutReason = "link" | "special" | "name" | "unreadable";

export type DoctorReport = { 
/**
 * Version of this form.
 */
schema: number, 
/**
 * Whether calls connect and work, as far as could be seen.
 */
ok: boolean, 
/**
 * What is wrong and what to do, the worst first; never empty.
 */
conclusions: Array<Conclusion>, 
/**
 * What that rests on.
 */
findings: Findings, 
/**
 * How long it took, in seconds.
 */
took_s: number, };

export type Conclusion = { 
/**
 * Stable name for programs.
 */
code: ConclusionCode, 
/**
 * How bad it is.
 */
severity: Severity, 
/**
 * What is wrong, in one sentence.
 */
what: string, 
/**
 * What to do about it, in one sentence.
 */
advice: string, };

export type ConclusionCode = "no_network" | "clock_wrong" | "name_server_silent" | "name_unknown" | "captive_portal" | "proxy_refuses" | "server_down" | "server_blocked" | "server_unwell" | "certificate_expired" | "certificate_name" | "certificate_untrusted" | "not_ahoy" | "signed_out" | "signaling_fails" | "relay_refuses_credentials" | "relay_refuses" | "relay_down" | "no_relay" | "relay_passes_nothing" | "relay_lossy" | "relay_only_tls" | "udp_one_way" | "udp_blocked" | "relay_slow" | "ipv6_broken" | "nat_symmetric" | "clock_off" | "not_signed_in" | "all_well";

export type Severity = "calls_impossible" | "some_calls_fail" | "calls_work_less_well" | "note";

export type Findings = { 
/**
 * This machine's addresses, without those that mean nothing beyond one cable.
 */
addresses: Array<string>, 
/**
 * Whether the server is this machine itself.
 */
is_here: boolean, 
/**
 * The proxy by which the server is reached, without its password.
 */
proxy: string | null, 
/**
 * The server's name; null where it is named by its address, or a proxy looks it up.
 */
name: NameFinding | null, 
/**
 * Connections to the server, one for each family that both sides have.
 */
families: Array<FamilyFinding>, 
/**
 * Who answers there.
 */
server: ServerFinding | null, 
/**
 * This machine's clock.
 */
clock: ClockFinding | null, 
/**
 * The session with the server.
 */
session: SessionFinding | null, 
/**
 * STUN servers, each in each family.
 */
udp: Array<UdpFinding>, 
/**
 * Relays, each by each way.
 */
relays: Array<RelayFinding>, 
/**
 * What address translation and firewalls do to UDP, for each family.
 */
nat: Array<NatFinding>, 
/**
 * How a call with somebody behind a usual router at home would go.
 */
path: ExpectedPath | null, 
/**
 * A call with oneself through a relay.
 */
call: CallFinding | null, };

export type NameFinding = { 
/**
 * Which name.
 */
name: string, 
/**
 * How it ended.
 */
outcome: NameOutcome, 
/**
 * Families in which it has addresses.
 */
families: Array<Family>, 
/**
 * How long it took, in milliseconds.
 */
took_ms: number, 
/**
 * What the system says where it failed.
 */
detail: string | null, };

export type NameOutcome = "found" | "unknown" | "silent";

export type FamilyFinding = { 
/**
 * Which.
 */
family: Family, 
/**
 * The server's address.
 */
address: string, 
/**
 * How long connecting took, in milliseconds; null where it failed.
 */
connected_ms: number | null, 
/**
 * Why it failed.
 */
detail: string | null, };

export type Family = "ipv4" | "ipv6";

export type ServerFinding = { 
/**
 * Its address, as it was named.
 */
server: string, 
/**
 * How far one gets.
 */
outcome: ServerOutcome, 
/**
 * How long connecting took, in milliseconds.
 */
connected_ms: number | null, 
/**
 * How long the TLS handshake took, in milliseconds.
 */
secured_ms: number | null, 
/**
 * From the question to its answer, in milliseconds.
 */
answered_ms: number | null, 
/**
 * The HTTP status of the answer.
 */
status: number | null, 
/**
 * What is known beside that: the system's words, or where one is sent.
 */
detail: string | null, };

export type ServerOutcome = "ahoy" | "unwell" | "not_ahoy" | "captive_portal" | "no_route" | "refused" | "timed_out" | "certificate_expired" | "certificate_not_yet_valid" | "certificate_name" | "certificate_untrusted" | "not_tls" | "proxy_refuses" | "broken_off";

export type ClockFinding = { 
/**
 * How far this machine's clock is ahead of the server's, in seconds; behind it where negative.
 */
ahead_s: number, 
/**
 * Whether the server's certificate proved whose clock it is.
 */
is_proven: boolean, 
/**
 * Whether the certificate, which does not count by this machine's clock, counts by the server's.
 */
explains_certificate: boolean, };

export type SessionFinding = { 
/**
 * How it went.
 */
outcome: SessionOutcome, 
/**
 * How long it took until it was open, in milliseconds.
 */
online_ms: number | null, 
/**
 * STUN servers that the server names.
 */
stun_servers: number, 
/**
 * Ways to relays that the server names.
 */
relays: number, 
/**
 * Why there is none.
 */
detail: string | null, };

export type SessionOutcome = "online" | "no_account" | "signed_out" | "failed";

export type UdpFinding = { 
/**
 * Its address.
 */
server: string, 
/**
 * Which family.
 */
family: Family, 
/**
 * The address of this machine that it was asked from.
 */
local: string, 
/**
 * The address that it sees; null where it does not answer.
 */
mapped: string | null, 
/**
 * The round trip, in milliseconds.
 */
round_trip_ms: number | null, };

export type RelayFinding = { 
/**
 * Its address.
 */
server: string, 
/**
 * By which way.
 */
way: RelayWay, 
/**
 * In which family, where that is known.
 */
family: Family | null, 
/**
 * What became of it.
 */
outcome: RelayOutcome, 
/**
 * With which code it refuses (RFC 8489 section 14.8, RFC 8656 section 19).
 */
code: number | null, 
/**
 * How long it took, with connecting, in milliseconds.
 */
allocated_ms: number | null, 
/**
 * Addresses at the relay.
 */
relayed: Array<string>, 
/**
 * Why there is none.
 */
detail: string | null, };

export type RelayWay = "udp" | "tcp" | "tls";

export type RelayOutcome = "allocated" | "unreachable" | "silent" | "refused";

export type NatFinding = { 
/**
 * In which family.
 */
family: Family, 
/**
 * Whether others see another address than this machine has; null where nobody has said.
 */
is_translated: boolean | null, 
/**
 * Who sees the same address.
 */
mapping: Behaviour, 
/**
 * Who may send back.
 */
filtering: Behaviour, 
/**
 * Whether datagrams from here come out of a relay; null where there was none to try it with.
 */
gets_out: boolean | null, };

export type Behaviour = "endpoint_independent" | "port_independent" | "address_dependent" | "address_and_port_dependent" | "unknown";

export type ExpectedPath = "direct" | "relay_udp" | "relay_tcp" | "relay_tls" | "none";

export type CallFinding = { 
/**
 * How the relay was reached; null where the two ends did not find each other.
 */
way: RelayWay | null, 
/**
 * How long it took until the two ends had found each other, in milliseconds.
 */
connected_ms: number | null, 
/**
 * Datagrams that were sent, both ways together.
 */
sent: number, 
/**
 * Those that came.
 */
received: number, 
/**
 * Share of those that did not come, 0 to 1; null where none was sent.
 */
loss: number | null, 
/**
 * Half of them took less than this from one end to the other, in milliseconds.
 */
delay_ms: number | null, 
/**
 * How much their time on the way varies (RFC 3550 section 6.4.1), in milliseconds.
 */
jitter_ms: number | null, };

export type Progress = { "kind": "began", 
/**
 * Which.
 */
check: Check, } | { "kind": "ended", 
/**
 * Which.
 */
check: Check, 
/**
 * How.
 */
result: CheckResult, 
/**
 * What was found, in a few English words, for a terminal.
 */
words: string, };

export type Check = "name" | "server" | "clock" | "session" | "udp" | "relays" | "nat" | "path" | "call";

export type CheckResult = "good" | "partly" | "bad" | "unknown";
