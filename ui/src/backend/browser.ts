import { problem, type AnyProblem, type Backend } from '.';
import type {
  AppInfo,
  CallsView,
  DeviceState,
  Devices,
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
  picture: '720p',
  mirror_self: true,
  first_run_done: false,
};

const off: DeviceState = { standing: 'off', trouble: null };
const opening: DeviceState = { standing: 'opening', trouble: null };

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

  on = this.#events.on;

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

  async changeSettings(change: SettingsChange) {
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
    await this.#open('camera', { video: chosen(camera) });
    const sound = await this.#open('microphone', { audio: chosen(microphone) });
    if (sound) this.#measure(sound);
    // They have names now.
    await this.#tellDevices();
  }

  async stopPreview() {
    clearInterval(this.#timer);
    for (const track of this.#tracks.splice(0)) track.stop();
    this.#tellPreview({ camera: off, microphone: off });
    await this.#sound?.close();
    this.#sound = undefined;
  }

  async retryDevices() {
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

  hangUp() {
    return Promise.resolve(null);
  }

  setMuted() {
    return refuse('There is no call in a browser.');
  }

  setCameraOn() {
    return refuse('There is no call in a browser.');
  }

  mediaAccess() {
    return refuse('Pictures need the desktop program: cargo xtask run --window.');
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
  accept = () => refuse(DESKTOP);
  decline = () => refuse(DESKTOP);
  setHeld = () => refuse(DESKTOP);
  conversations = () => Promise.resolve([]);
  messages = () => Promise.resolve([]);
  writeMessage = () => refuse(DESKTOP);
  sendAgain = () => refuse(DESKTOP);
  messagesSeen = () => refuse(DESKTOP);
  recentCalls = () => Promise.resolve([]);
  recentCallsSeen = () => Promise.resolve();

  async #open(kind: 'camera' | 'microphone', wanted: MediaStreamConstraints) {
    try {
      const stream = await navigator.mediaDevices.getUserMedia(wanted);
      this.#tracks.push(...stream.getTracks());
      this.#tellPreview({ ...this.#preview, [kind]: { standing: 'on', trouble: null } });
      return stream;
    } catch (error) {
      const trouble = explain(kind, error);
      this.#tellPreview({ ...this.#preview, [kind]: { standing: 'failed', trouble } });
      return undefined;
    }
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

function explain(kind: 'camera' | 'microphone', error: unknown): Problem {
  const { name, message } = error as DOMException;
  const codes: Record<string, Problem['code']> = {
    NotFoundError: `${kind}_missing`,
    OverconstrainedError: `${kind}_not_connected`,
    NotReadableError: `${kind}_busy`,
    NotAllowedError: `${kind}_denied`,
  };
  return { code: codes[name] ?? `${kind}_unusable`, message, device: null };
}
