import type { Stream } from '../video/protocol';
import { problem, type AnyProblem, type Backend, type ShowListener } from '.';
import type {
  AppInfo,
  CallsView,
  CallSummary,
  Conversation,
  DeviceState,
  Devices,
  Message,
  PeopleSnapshot,
  PreviewSnapshot,
  Problem,
  Settings,
  SettingsChange,
  SoundDevice,
} from './bindings';
import { Events } from './events';

const STORED = 'ahoy.settings';
const LEVELS_PER_SECOND = 20;
const DESKTOP = 'Other people need the desktop program: cargo xtask run --window.';

const initial: Settings = {
  name: '',
  language: 'system',
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
  first_run_done: false,
};

export const off: DeviceState = { standing: 'off', trouble: null };
export const on: DeviceState = { standing: 'on', trouble: null };
export const opening: DeviceState = { standing: 'opening', trouble: null };

/**
 * A plain browser without the shell, as `npm run dev` opens it: the browser's devices, its microphone level, settings in
 * its storage. It has no connection that Ahoy could call itself through, and no socket that pictures come from.
 */
export class BrowserBackend implements Backend {
  readonly #events = new Events();
  #current: Settings = { ...initial, ...stored() };
  #preview: PreviewSnapshot = { camera: off, microphone: off };
  #tracks: MediaStreamTrack[] = [];
  #sound: AudioContext | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;

  #picture: MediaStream | null = null;
  readonly #previews = new Set<HTMLVideoElement>();

  on = this.#events.on;
  protected emit = this.#events.emit.bind(this.#events);

  constructor() {
    navigator.mediaDevices?.addEventListener('devicechange', () => void this.#tellDevices());
  }

  appInfo(): Promise<AppInfo> {
    return Promise.resolve({
      version: __AHOY_VERSION__,
      system: 'browser',
      architecture: '',
      webview: navigator.userAgent,
      notices_devices: true,
    });
  }

  settings() {
    return Promise.resolve(this.#current);
  }

  async changeSettings(change: SettingsChange): Promise<Settings> {
    const before = this.#current;
    const now = (this.#current = { ...before, ...change });
    localStorage.setItem(STORED, JSON.stringify(now));
    this.#events.emit('settings', now);
    const same = before.camera === now.camera && before.microphone === now.microphone;
    if (!same && this.#preview.camera.standing !== 'off') await this.startPreview();
    return now;
  }

  async devices(): Promise<Devices> {
    const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    // Before the person has allowed a device the browser lists it without id and name.
    const of = (kind: MediaDeviceKind) => all.filter((device) => device.kind === kind && device.deviceId);
    const sound = ({ deviceId, label }: MediaDeviceInfo): SoundDevice => ({
      id: deviceId,
      name: label,
      is_default: deviceId === 'default',
      backend: 'browser',
    });
    return {
      cameras: of('videoinput').map(({ deviceId, label }) => ({ id: deviceId, name: label, formats: [] })),
      microphones: of('audioinput').map(sound),
      speakers: of('audiooutput').map(sound),
      problems: [],
    };
  }

  async startPreview() {
    await this.stopPreview();
    this.#tellPreview({ camera: opening, microphone: opening });
    const { camera, microphone } = this.#current;
    // As wide as the tile that shows it.
    const wide = { width: { ideal: 1280 }, height: { ideal: 720 } };
    await this.#open('camera', { video: { ...wide, ...(camera ? { deviceId: { exact: camera } } : {}) } });
    const sound = await this.#open('microphone', { audio: chosen(microphone) });
    if (sound) this.#measure(sound);
    // They have names now.
    await this.#tellDevices();
  }

  async stopPreview() {
    clearInterval(this.#timer);
    for (const track of this.#tracks.splice(0)) track.stop();
    this.#project(null);
    this.#tellPreview({ camera: off, microphone: off });
    await this.#sound?.close();
    this.#sound = undefined;
  }

  async retryDevices(): Promise<void> {
    const { camera, microphone } = this.#preview;
    if (camera.trouble || microphone.trouble) await this.startPreview();
  }

  async testSpeaker() {
    const sound = new AudioContext();
    const tone = new OscillatorNode(sound, { frequency: 523 });
    const gain = new GainNode(sound, { gain: 0.2 });
    tone.connect(gain).connect(sound.destination);
    const ended = new Promise((done) => tone.addEventListener('ended', done));
    tone.start();
    tone.stop(sound.currentTime + 2);
    await ended;
    await sound.close();
  }

  startTestCall() {
    return refuse('Test calls need the desktop program: cargo xtask run --window.');
  }

  hangUp(): Promise<CallSummary | null> {
    return Promise.resolve(null);
  }

  setMuted(_muted: boolean): Promise<void> {
    return refuse('There is no call in a browser.');
  }

  setCameraOn(_on: boolean): Promise<void> {
    return refuse('There is no call in a browser.');
  }

  readonly numbers: boolean = false;

  show(stream: Stream, host: HTMLElement, { onPlaying }: ShowListener): () => void {
    return this.showIn(host, onPlaying, (video) => {
      this.#previews.add(video);
      video.srcObject = stream === 'local' ? this.#picture : null;
      return () => this.#previews.delete(video);
    });
  }

  /** Puts a picture into an element. What it shows is the business of `attach`, which returns how to end that. */
  protected showIn(
    host: HTMLElement,
    onPlaying: ShowListener['onPlaying'],
    attach: (video: HTMLVideoElement) => () => unknown,
  ): () => void {
    const video = document.createElement('video');
    // Sound is played elsewhere, so that it does not depend on what is in sight.
    [video.autoplay, video.muted, video.playsInline] = [true, true, true];
    video.onplaying = () => onPlaying(true);
    video.onemptied = () => onPlaying(false);
    host.append(video);
    const detach = attach(video);
    return () => {
      detach();
      video.srcObject = null;
      video.remove();
    };
  }

  people(): Promise<PeopleSnapshot> {
    return Promise.resolve({ me: null, connection: 'none', contacts: [] });
  }

  calls(): Promise<CallsView> {
    return Promise.resolve({ current: null, ringing: [] });
  }

  resumeSignIn() {
    return Promise.resolve();
  }

  signIn = () => refuse(DESKTOP);
  signUp = () => refuse(DESKTOP);
  signOut = () => refuse(DESKTOP);
  reconnect = () => refuse(DESKTOP);
  addContact = () => refuse(DESKTOP);
  removeContact = () => refuse(DESKTOP);
  blockContact = () => refuse(DESKTOP);
  call = () => refuse(DESKTOP);
  startLinkCall = () => refuse(DESKTOP);
  openLink = () => refuse(DESKTOP);
  takeInvitation = () => Promise.resolve(null);
  joinLink = () => refuse(DESKTOP);
  startHostedCall = () => refuse(DESKTOP);
  answerLobby = () => refuse(DESKTOP);
  lookNearby = () => Promise.resolve();
  stopLookingNearby = () => Promise.resolve();
  announce = () => Promise.resolve();
  accept = () => refuse(DESKTOP);
  decline = () => refuse(DESKTOP);

  setHeld(_held: boolean): Promise<void> {
    return refuse(DESKTOP);
  }
  sendAgain = () => refuse(DESKTOP);
  recentCalls = () => Promise.resolve([]);
  recentCallsSeen = () => Promise.resolve();
  checkConnection = () => refuse(DESKTOP);
  stopConnectionCheck = () => Promise.resolve();
  pickFiles = () => refuse(DESKTOP);
  forgetPicked = () => Promise.resolve();
  sendPicked = () => refuse(DESKTOP);
  transfers = () => Promise.resolve([]);
  transferFiles = () => refuse(DESKTOP);
  acceptFiles = () => refuse(DESKTOP);
  declineFiles = () => refuse(DESKTOP);
  setTransferPaused = () => refuse(DESKTOP);
  cancelTransfer = () => refuse(DESKTOP);
  dismissTransfer = () => refuse(DESKTOP);
  showTransfer = () => refuse(DESKTOP);
  chooseFilesFolder = () => refuse(DESKTOP);

  conversations(): Promise<Conversation[]> {
    return Promise.resolve([]);
  }

  messages(_user: string, _before: string | null): Promise<Message[]> {
    return Promise.resolve([]);
  }

  writeMessage(_user: string, _text: string): Promise<void> {
    return refuse(DESKTOP);
  }

  messagesSeen(_user: string): Promise<void> {
    return Promise.resolve();
  }

  async #open(kind: 'camera' | 'microphone', wanted: MediaStreamConstraints) {
    try {
      const stream = await navigator.mediaDevices.getUserMedia(wanted);
      this.#tracks.push(...stream.getTracks());
      if (kind === 'camera') this.#project(stream);
      this.#tellPreview({ ...this.#preview, [kind]: on });
      return stream;
    } catch (error) {
      const trouble = explain(kind, error);
      this.#tellPreview({ ...this.#preview, [kind]: { standing: 'failed', trouble } });
      return undefined;
    }
  }

  #project(picture: MediaStream | null) {
    this.#picture = picture;
    for (const video of this.#previews) video.srcObject = picture;
  }

  #measure(stream: MediaStream) {
    this.#sound = new AudioContext();
    const analyser = new AnalyserNode(this.#sound, { fftSize: 2048 });
    this.#sound.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    this.#timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const level = samples.reduce((loudest, sample) => Math.max(loudest, Math.abs(sample)), 0);
      this.#events.emit('level', { level: Math.min(1, level), clipped: level >= 1 });
    }, 1000 / LEVELS_PER_SECOND);
  }

  #tellPreview(preview: PreviewSnapshot) {
    this.#preview = preview;
    this.#events.emit('preview', preview);
  }

  async #tellDevices() {
    this.#events.emit('devices', await this.devices());
  }
}

function stored(): SettingsChange {
  return JSON.parse(localStorage.getItem(STORED) ?? '{}') as SettingsChange;
}

function chosen(id: string | null) {
  return id ? { deviceId: { exact: id } } : true;
}

function refuse(message: string): Promise<never> {
  const refused: AnyProblem = problem('no_shell', message);
  return Promise.reject(Object.assign(new Error(message), refused));
}

export function explain(kind: 'camera' | 'microphone', error: unknown): Problem {
  const { name, message } = error as DOMException;
  const codes: Record<string, AnyProblem['code']> = {
    NotFoundError: `${kind}_missing`,
    OverconstrainedError: `${kind}_not_connected`,
    NotReadableError: `${kind}_busy`,
    NotAllowedError: `${kind}_denied_by_browser`,
  };
  // The program's devices have no problem that only browsers have, so its states don't know of it.
  return { code: codes[name] ?? `${kind}_unusable`, message, device: null } as Problem;
}
