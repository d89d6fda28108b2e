import type {
  Access,
  AnyProblem,
  Backend,
  CallSnapshot,
  CallStats,
  WayStats,
  CallSummary,
  CallsView,
  Contact,
  Conversation,
  Credentials,
  DeviceState,
  Devices,
  DoctorReport,
  FileView,
  Invitation,
  LobbyGuest,
  Message,
  Notice,
  NearbyCall,
  PeopleSnapshot,
  PersonCall,
  PickedFiles,
  PreviewSnapshot,
  Problem,
  Progress,
  RecentCall,
  SentFiles,
  Settings,
  SettingsChange,
  ShowListener,
  TransferView,
} from '../src/backend';
import { Events } from '../src/backend/events';
import { VideoPlayer } from '../src/video/player';
import type { Stream } from '../src/video/protocol';
import { allWell } from './scripted-check';

export const settings: Settings = {
  name: 'Marina',
  language: 'en',
  theme: 'system',
  camera: null,
  microphone: null,
  speaker: null,
  ringer: null,
  picture: '720p',
  mirror_self: true,
  save_power: 'auto',
  relay_only: false,
  files_folder: null,
  files_from: [],
  first_run_done: true,
};

export const devices: Devices = {
  cameras: [
    { id: 'cam-1', name: 'Integrated Camera', formats: ['1280x720 at 30'] },
    { id: 'cam-2', name: 'Harbour Cam Pro', formats: ['1920x1080 at 30'] },
  ],
  microphones: [
    { id: 'mic-1', name: 'Built-in Microphone', is_default: true, backend: 'PulseAudio' },
    { id: 'mic-2', name: 'USB Headset', is_default: false, backend: 'PulseAudio' },
  ],
  speakers: [
    { id: 'spk-1', name: 'Built-in Speakers', is_default: false, backend: 'PulseAudio' },
    { id: 'spk-2', name: 'USB Headset', is_default: true, backend: 'PulseAudio' },
  ],
  problems: [],
};

export const noDevices: Devices = { cameras: [], microphones: [], speakers: [], problems: [] };

export const on: DeviceState = { standing: 'on', trouble: null };
export const off: DeviceState = { standing: 'off', trouble: null };

/** A device that can't be had. */
export function failed(code: Problem['code'], device: string | null = null): DeviceState {
  return { standing: 'failed', trouble: { code, message: 'For the terminal.', device } };
}

export const running: CallSnapshot = {
  phase: 'running',
  muted: false,
  camera: on,
  microphone: on,
  speaker: on,
  problems: [],
};

const contact = (handle: string, name: string, presence: Contact['presence']): Contact => ({
  user: `u_${handle}`,
  handle,
  name,
  standing: 'contact',
  presence,
});

export const people: PeopleSnapshot = {
  me: { handle: 'marina', name: 'Marina', server: 'https://call.example.org' },
  connection: 'online',
  contacts: [
    contact('ada', 'Ada Lovelace', 'online'),
    contact('grace.hopper', 'Grace Hopper', 'in_call'),
    contact('nemo', 'Captain Nemo', 'offline'),
    { ...contact('edith', 'Edith Clarke', 'offline'), standing: 'asking' },
    { ...contact('charles', 'Charles Babbage', 'offline'), standing: 'asked' },
  ],
};

export const nobodySignedIn: PeopleSnapshot = { me: null, connection: 'none', contacts: [] };

/** Ten minutes past nine, this morning. */
const morning = new Date().setHours(9, 10, 0, 0);
const DAY_MS = 24 * 60 * 60 * 1000;

const message = (at: number, state: Message['state'], text: string): Message => ({
  message: `n_${at}`,
  text,
  at_ms: morning + at * 60_000,
  state,
});

export const messages: Message[] = [
  message(0, 'received', 'Good morning! Did the charts arrive?'),
  message(2, 'read', 'They did, thank you. The soundings off the north shore are new to me.'),
  message(3, 'received', 'That is the part I would like to go through with you.'),
  message(3.5, 'received', 'Would ten o’clock suit you? It takes half an hour at most.'),
  message(6, 'delivered', 'Ten is fine. I’ll call you.'),
];

const ada = { user: 'u_ada', handle: 'ada', name: 'Ada Lovelace' };
const nemo = { user: 'u_nemo', handle: 'nemo', name: 'Captain Nemo' };

export const conversations: Conversation[] = [
  { with: nemo, last: message(40, 'received', 'Surfacing at noon.'), unread: 2 },
  { with: ada, last: messages.at(-1)!, unread: 0 },
];

const past = (id: number, with_: RecentCall['with'], call: Partial<RecentCall>): RecentCall => ({
  call: `c_${id}`,
  with: with_,
  outgoing: false,
  video: true,
  how: 'hung_up',
  at_ms: morning - id * 7 * 60 * 60 * 1000,
  seconds: null,
  seen: true,
  ...call,
});

export const recentCalls: RecentCall[] = [
  past(0, nemo, { how: 'missed', seen: false, video: false }),
  past(1, ada, { outgoing: true, seconds: 1834 }),
  past(4, ada, { seconds: 62 }),
  past(9, nemo, { outgoing: true, how: 'no_answer', at_ms: morning - 3 * DAY_MS }),
];

export const personCall: PersonCall = {
  user: 'u_ada',
  handle: 'ada',
  name: 'Ada Lovelace',
  outgoing: true,
  stage: 'connected',
  held: false,
  held_there: false,
  muted_there: false,
  camera_there: true,
  paused_there: false,
  link: null,
  hosted: false,
  lobby: [],
};

/** A call that waits for whoever gets the link. */
export const linkCall: PersonCall = {
  ...personCall,
  user: '',
  handle: '',
  name: '',
  stage: 'calling',
  camera_there: null,
  link: {
    url: 'https://call.example.org/join/r_70sawtt1qqjn1p3fpe3efyhv6z#eyJ0eXAiOiJpbnZpdGUrand0IiwiYWxnIjoiRWREU0EifQ',
    qr: { size: 37, path: finders() },
  },
};

/** The corners of a QR code, and something between them. */
function finders(): string {
  const ring = (x: number, y: number) =>
    `M${x} ${y}h7v7h-7zM${x + 1} ${y + 1}v5h5v-5zM${x + 2} ${y + 2}h3v3h-3z`;
  let path = ring(4, 4) + ring(26, 4) + ring(4, 26);
  for (let at = 0; at < 400; at++) {
    const [x, y] = [13 + ((at * 7) % 20), 13 + ((at * 3) % 20)];
    if ((x * y + at) % 3 === 0 && x < 33 && y < 33) path += `M${x} ${y}h1v1h-1z`;
  }
  return path;
}

const MEGABYTE = 1_000_000;

/** A transfer from Ada, of whom some files are there. */
export const transfer: TransferView = {
  id: '5f0c1d2e3a4b59687786a5b4c3d2e1f0',
  person: 'u_ada',
  way: 'received',
  stage: 'going',
  names: ['Soundings north shore', 'Chart 12.pdf', 'Tide table.ods'],
  tops: 5,
  files: 38,
  done: 14,
  failed: 0,
  bytes: 412 * MEGABYTE,
  moved: 173 * MEGABYTE,
  connected: true,
  paused_here: false,
  paused_there: false,
  trouble: null,
  speed: 11.4 * MEGABYTE,
  left_s: 21,
  folder: '/home/marina/Downloads',
};

export const offer: TransferView = {
  ...transfer,
  id: '00c1d2e3a4b59687786a5b4c3d2e1f05',
  stage: 'offered',
  names: ['Lighthouse.jpg', 'Pier at dusk.jpg'],
  tops: 2,
  files: 2,
  done: 0,
  bytes: 9.4 * MEGABYTE,
  moved: 0,
  speed: null,
  left_s: null,
  folder: null,
};

/** One that waits for somebody who is not there, one that is over, and one that did not go well. */
export const otherTransfers: TransferView[] = [
  {
    ...transfer,
    id: 'aa1d2e3a4b59687786a5b4c3d2e1f055',
    person: 'u_nemo',
    way: 'sent',
    names: ['Log book.pdf'],
    tops: 1,
    files: 1,
    done: 0,
    bytes: 31 * MEGABYTE,
    moved: 12 * MEGABYTE,
    connected: false,
    speed: null,
    left_s: null,
    folder: null,
  },
  {
    ...transfer,
    id: 'bb1d2e3a4b59687786a5b4c3d2e1f055',
    stage: 'ended',
    names: ['Harbour plan.svg'],
    tops: 1,
    files: 1,
    done: 1,
    bytes: 0.48 * MEGABYTE,
    moved: 0.48 * MEGABYTE,
    speed: null,
    left_s: null,
  },
  {
    ...transfer,
    id: 'cc1d2e3a4b59687786a5b4c3d2e1f055',
    person: 'u_grace.hopper',
    way: 'sent',
    stage: 'ended',
    names: ['Photos'],
    tops: 1,
    files: 212,
    done: 209,
    failed: 3,
    bytes: 1900 * MEGABYTE,
    moved: 1870 * MEGABYTE,
    trouble: 'changed',
    speed: null,
    left_s: null,
    folder: null,
  },
];

export const offeredFiles: FileView[] = [
  { number: 0, path: 'Lighthouse.jpg', size: 5.1 * MEGABYTE, moved: 0, stage: 'waiting', reason: null },
  { number: 1, path: 'Pier at dusk.jpg', size: 4.3 * MEGABYTE, moved: 0, stage: 'waiting', reason: null },
];

export const picked: PickedFiles = { names: ['Log book.pdf', 'Photos'], count: 2 };

export const ringingCall = { call: 'c_1', handle: 'ada', name: 'Ada Lovelace', video: true };

export const recoveryCodes = ['vzgx-8g4k-mcp6-50rn-dxvy', '9aa8-bczf-af01-4fz3-p60e'];

export const summary: CallSummary = {
  with: null,
  seconds: 84,
  decode_ms: 6,
  decode_p95_ms: 11,
  ok: true,
  problems: [],
  setup_ms: 312,
  fps: 29.8,
  freezes: 0,
  latency_ms: 96,
  audio_delay_ms: 118,
  bitrate_kbps: 1540,
};

function way(
  local_kind: WayStats['local_kind'],
  local: string,
  remote_kind: WayStats['remote_kind'],
  remote: string,
  round_trip_ms: number,
  rest: Partial<WayStats> = {},
): WayStats {
  const how = { relay_protocol: null, is_tcp: false, in_use: false, dead: false, ...rest };
  return { local_kind, local, remote_kind, remote, round_trip_ms, ...how };
}

/** Own pictures are held back: there is room for sound only. */
export function paused(at: number): CallStats {
  const numbers = stats(at);
  numbers.video = { ...numbers.video, fps_encoded: 0, fps_sent: 0, bitrate_kbps: 0 };
  numbers.network.loss_percent = 6;
  numbers.sending = {
    target_kbps: 61,
    sent_kbps: 48,
    acknowledged_kbps: 45,
    queue_ms: 210,
    loss_percent: 6,
    round_trip_ms: 340,
    reason: 'drain',
    picture: null,
    limited_by: 'network',
  };
  return numbers;
}

/** The numbers of a good call; `at` counts from 0 and makes them move a little. */
export function stats(at: number): CallStats {
  const sway = Math.sin(at / 5) + Math.sin(at / 2.3) / 2;
  const climb = Math.min(1, 0.3 + at / 40);
  return {
    at_ms: at * 500,
    video: {
      fps_captured: 30,
      fps_encoded: 30,
      fps_sent: 30,
      fps_received: 29.9,
      fps_decoded: 29.8,
      fps_shown: 29.6 + sway * 0.3,
      bitrate_kbps: 1500 * climb + sway * 60,
      width: 1280,
      height: 720,
      latency_ms: 92 + sway * 8,
      freezes: 0,
      freeze_ms: 0,
    },
    audio: {
      bitrate_kbps: 32,
      delay_ms: 118,
      concealed_percent: 0.1,
      level_in: 0.3,
      level_out: 0.3,
    },
    network: {
      loss_percent: at % 23 === 7 ? 1.2 : 0.1,
      jitter_ms: 3 + Math.abs(sway) * 2,
      round_trip_ms: 23,
    },
    sending: {
      target_kbps: 2400 * climb + sway * 40,
      sent_kbps: 1580 * climb + sway * 60,
      acknowledged_kbps: 1570 * climb + sway * 60,
      queue_ms: 2 + Math.abs(sway) * 3,
      loss_percent: 0.1,
      round_trip_ms: 23,
      reason: 'headroom',
      picture: { width: 1280, height: 720, fps: 30, bitrate_kbps: 1500 * climb + sway * 60 },
      limited_by: 'full',
    },
    ways: {
      ways: [
        way('srflx', '203.0.113.9:50122', 'prflx', '198.51.100.4:61034', 23.4, { in_use: true }),
        way('relay', '192.0.2.80:49301', 'srflx', '198.51.100.4:61034', 31, { relay_protocol: 'udp' }),
        way('relay', '192.0.2.80:49302', 'relay', '192.0.2.80:50210', 64, {
          relay_protocol: 'tls',
          dead: true,
        }),
      ],
      addresses: [
        { here: true, kind: 'host', address: '192.168.1.20:50122', priority: 2130706175, is_tcp: false },
        { here: true, kind: 'srflx', address: '203.0.113.9:50122', priority: 1686052607, is_tcp: false },
        { here: true, kind: 'host', address: '192.168.1.20:40222', priority: 1518280447, is_tcp: true },
        { here: true, kind: 'relay', address: '192.0.2.80:49301', priority: 37748479, is_tcp: false },
        { here: false, kind: 'host', address: '10.0.0.7:61034', priority: 2130706175, is_tcp: false },
        { here: false, kind: 'prflx', address: '198.51.100.4:61034', priority: 1853824767, is_tcp: false },
      ],
    },
    stages_ms: {
      capture_to_encode: 1.4,
      encode: 6.2,
      network: 0.8,
      jitter_buffer: 41,
      decode: 3.1,
      show: 7.4,
    },
    cpu_percent: 38 + sway * 5,
    memory_mb: 164,
  };
}

export function failure(code: AnyProblem['code'], message = 'A sentence of the program.'): AnyProblem {
  return Object.assign(new Error(message), { code, device: null });
}

export interface Script {
  settings?: Partial<Settings>;
  devices?: Devices;
  system?: string;
  /** Whether the program notices devices that come and go. */
  notices?: boolean;
  preview?: PreviewSnapshot;
  snapshot?: CallSnapshot;
  summary?: CallSummary;
  people?: PeopleSnapshot;
  calls?: CallsView;
  conversations?: Conversation[];
  messages?: Message[];
  recentCalls?: RecentCall[];
  /** Those who wait at a call that is hosted here. */
  lobby?: LobbyGuest[];
  /** Calls that are hosted on the network. */
  nearby?: NearbyCall[];
  transfers?: TransferView[];
  files?: FileView[];
  /** What comes of sending what was picked. */
  sent?: SentFiles;
  /** A link that the program was started with. */
  invitation?: Invitation;
  /** What an examination of the connection tells, and what comes of it; without a report it runs until it is called off. */
  check?: { progress: Progress[]; report: DoctorReport | null };
  access?: () => Promise<Access>;
  /** Commands that fail, by name. */
  failing?: Partial<Record<keyof Backend, AnyProblem>>;
  /** A command that is never answered. */
  silent?: keyof Backend;
}

/** A program that does what a script says, and remembers what it was asked. */
export class ScriptedBackend implements Backend {
  readonly asked: string[] = [];
  readonly #script: Script;
  readonly #events = new Events();
  #settings: Settings;
  #snapshot: CallSnapshot;
  #invitation: Invitation | null;
  #callOff: (() => void) | undefined;

  constructor(script: Script = {}) {
    this.#script = script;
    this.#settings = { ...settings, ...script.settings };
    this.#snapshot = script.snapshot ?? running;
    this.#invitation = script.invitation ?? null;
  }

  on = this.#events.on;
  emit = this.#events.emit.bind(this.#events);

  appInfo() {
    const info = {
      version: '0.1.0',
      system: this.#script.system ?? 'linux',
      architecture: 'x86_64',
      webview: '2.50.6',
      notices_devices: this.#script.notices ?? true,
    };
    return this.#answer('appInfo', info);
  }

  settings() {
    return this.#answer('settings', this.#settings);
  }

  async changeSettings(change: SettingsChange) {
    await this.#answer('changeSettings', null, JSON.stringify(change));
    this.#settings = { ...this.#settings, ...change };
    this.emit('settings', this.#settings);
    return this.#settings;
  }

  devices() {
    return this.#answer('devices', this.#script.devices ?? devices);
  }

  async startPreview() {
    await this.#answer('startPreview', undefined);
    this.emit('preview', this.#script.preview ?? { camera: on, microphone: on });
  }

  async stopPreview() {
    await this.#answer('stopPreview', undefined);
    this.emit('preview', { camera: off, microphone: off });
  }

  retryDevices() {
    return this.#answer('retryDevices', undefined);
  }

  testSpeaker(ringer: boolean) {
    return this.#answer('testSpeaker', undefined, ringer ? 'ringer' : '');
  }

  async startTestCall() {
    await this.#answer('startTestCall', undefined);
    this.emit('call', this.#snapshot);
  }

  async hangUp() {
    const ended = await this.#answer('hangUp', this.#script.summary ?? summary);
    this.emit('ended', ended);
    return ended;
  }

  async setMuted(muted: boolean) {
    await this.#answer('setMuted', undefined, String(muted));
    this.change({ muted });
  }

  async setCameraOn(wanted: boolean) {
    await this.#answer('setCameraOn', undefined, String(wanted));
    this.change({ camera: wanted ? on : off });
  }

  readonly numbers = true;

  show(stream: Stream, host: HTMLElement, told: ShowListener) {
    const access = () => this.#script.access?.() ?? Promise.reject(failure('no_call'));
    const player = new VideoPlayer(host, { access, stream, ...told });
    return () => player.close();
  }

  people() {
    return this.#answer('people', this.#script.people ?? nobodySignedIn);
  }

  calls() {
    return this.#answer('calls', this.#script.calls ?? { current: null, ringing: [] });
  }

  resumeSignIn() {
    return this.#answer('resumeSignIn', undefined);
  }

  async signIn(given: Credentials) {
    await this.#answer('signIn', undefined, given.handle);
    this.emit('people', people);
  }

  async signUp(given: Credentials) {
    const codes = await this.#answer('signUp', recoveryCodes, given.handle);
    this.emit('people', { ...people, contacts: [] });
    return codes;
  }

  async signOut() {
    await this.#answer('signOut', undefined);
    this.emit('people', nobodySignedIn);
  }

  reconnect() {
    return this.#answer('reconnect', undefined);
  }

  addContact(handle: string) {
    return this.#answer('addContact', undefined, handle);
  }

  removeContact(handle: string) {
    return this.#answer('removeContact', undefined, handle);
  }

  blockContact(handle: string) {
    return this.#answer('blockContact', undefined, handle);
  }

  async call(handle: string, video: boolean) {
    await this.#answer('call', undefined, `${handle} ${video}`);
    this.#begin({ ...personCall, handle, stage: 'calling' });
  }

  async startLinkCall(video: boolean) {
    await this.#answer('startLinkCall', undefined, String(video));
    this.#begin(linkCall);
  }

  async openLink(link: string) {
    await this.#answer('openLink', undefined, link);
    this.#invitation = { link, server: new URL(link).origin };
    this.emit('invited', undefined);
  }

  takeInvitation() {
    const invitation = this.#invitation;
    this.#invitation = null;
    return this.#answer('takeInvitation', invitation);
  }

  async joinLink(link: string, name: string, video: boolean) {
    await this.#answer('joinLink', undefined, `${link} ${name} ${video}`);
    this.#begin({ ...personCall, user: '', handle: '', name: '', outgoing: false, stage: 'waiting' });
  }

  async startHostedCall(name: string, video: boolean) {
    await this.#answer('startHostedCall', undefined, `${name} ${video}`);
    this.#begin({ ...linkCall, hosted: true, lobby: this.#script.lobby ?? [] });
  }

  answerLobby(participant: string, admit: boolean) {
    return this.#answer('answerLobby', undefined, `${participant} ${admit}`);
  }

  async lookNearby() {
    await this.#answer('lookNearby', undefined);
    this.emit('nearby', this.#script.nearby ?? []);
  }

  stopLookingNearby() {
    return this.#answer('stopLookingNearby', undefined);
  }

  announce(notice: Notice) {
    return this.#answer('announce', undefined, `${notice.about.type} ${notice.title} ${notice.text}`);
  }

  async accept(call: string, video: boolean) {
    await this.#answer('accept', undefined, `${call} ${video}`);
    this.#begin({ ...personCall, outgoing: false, stage: 'connecting' });
  }

  async decline(call: string) {
    await this.#answer('decline', undefined, call);
    this.emit('calls', { current: null, ringing: [] });
  }

  setHeld(held: boolean) {
    return this.#answer('setHeld', undefined, String(held));
  }

  conversations() {
    return this.#answer('conversations', this.#script.conversations ?? []);
  }

  messages(user: string, before: string | null) {
    const argument = before ? `${user} ${before}` : user;
    return this.#answer('messages', before ? [] : (this.#script.messages ?? []), argument);
  }

  writeMessage(user: string, text: string) {
    return this.#answer('writeMessage', undefined, `${user} ${text}`);
  }

  sendAgain(message: string) {
    return this.#answer('sendAgain', undefined, message);
  }

  messagesSeen(user: string) {
    return this.#answer('messagesSeen', undefined, user);
  }

  recentCalls() {
    return this.#answer('recentCalls', this.#script.recentCalls ?? []);
  }

  recentCallsSeen() {
    return this.#answer('recentCallsSeen', undefined);
  }

  async checkConnection(server: string | null) {
    const { progress, report } = this.#script.check ?? { progress: [], report: allWell };
    await this.#answer('checkConnection', undefined, server ?? '');
    for (const step of progress) this.emit('connection_check', step);
    return report ?? new Promise<null>((resolve) => (this.#callOff = () => resolve(null)));
  }

  async stopConnectionCheck() {
    await this.#answer('stopConnectionCheck', undefined);
    this.#callOff?.();
  }

  async pickFiles(folders: boolean) {
    await this.#answer('pickFiles', undefined, folders ? 'folders' : '');
    this.emit('files_picked', picked);
  }

  forgetPicked() {
    return this.#answer('forgetPicked', undefined);
  }

  sendPicked(user: string) {
    const sent = { id: transfer.id, left_out: [], left_out_count: 0 };
    return this.#answer('sendPicked', this.#script.sent ?? sent, user);
  }

  transfers() {
    return this.#answer('transfers', this.#script.transfers ?? []);
  }

  transferFiles(id: string) {
    return this.#answer('transferFiles', this.#script.files ?? offeredFiles, id);
  }

  acceptFiles(id: string, files: number[] | null, elsewhere: boolean) {
    return this.#answer('acceptFiles', true, `${id} ${files?.join() ?? 'all'} ${elsewhere}`);
  }

  declineFiles(id: string) {
    return this.#answer('declineFiles', undefined, id);
  }

  setTransferPaused(id: string, file: number | null, paused: boolean) {
    return this.#answer('setTransferPaused', undefined, `${id} ${file ?? 'all'} ${paused}`);
  }

  cancelTransfer(id: string, file: number | null) {
    return this.#answer('cancelTransfer', undefined, `${id} ${file ?? 'all'}`);
  }

  dismissTransfer(id: string) {
    return this.#answer('dismissTransfer', undefined, id);
  }

  showTransfer(id: string) {
    return this.#answer('showTransfer', undefined, id);
  }

  async chooseFilesFolder() {
    await this.#answer('chooseFilesFolder', undefined);
    return this.changeSettings({ files_folder: '/home/marina/From others' });
  }

  #begin(current: PersonCall) {
    this.emit('calls', { current, ringing: [] });
    this.emit('call', this.#snapshot);
  }

  /** Something about the call is different from now on. */
  change(change: Partial<CallSnapshot>) {
    this.#snapshot = { ...this.#snapshot, ...change };
    this.emit('call', this.#snapshot);
  }

  #answer<Answer>(command: keyof Backend, answer: Answer, argument = ''): Promise<Answer> {
    this.asked.push(argument ? `${command} ${argument}` : command);
    if (this.#script.silent === command) return new Promise(() => undefined);
    const failure = this.#script.failing?.[command];
    return failure ? Promise.reject(failure) : Promise.resolve(answer);
  }
}
