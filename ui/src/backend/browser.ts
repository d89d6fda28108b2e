import type { Backend } from '.';
import type {
  BackendEvents,
  CommandError,
  Devices,
  MediaAccess,
  Settings,
  SettingsChange,
  SoundDevice,
} from './types';

const STORED = 'ahoy.settings';
const LEVELS_PER_SECOND = 20;

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

/**
 * A plain browser without the shell, as `npm run dev` opens it: the browser's devices, its microphone level, settings in
 * its storage. It has no connection that Ahoy could call itself through, and no socket that pictures come from.
 */
export class BrowserBackend implements Backend {
  readonly #targets = new EventTarget();
  #preview: MediaStream | undefined;
  #sound: AudioContext | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #current: Settings = {
    ...initial,
    ...(JSON.parse(localStorage.getItem(STORED) ?? '{}') as SettingsChange),
  };

  constructor() {
    navigator.mediaDevices?.addEventListener('devicechange', () => {
      void this.devices().then((devices) => this.#emit('devices', devices));
    });
  }

  appInfo() {
    return Promise.resolve({
      version: __AHOY_VERSION__,
      system: 'browser',
      architecture: '',
      webview: navigator.userAgent,
    });
  }

  settings() {
    return Promise.resolve(this.#current);
  }

  changeSettings(change: SettingsChange) {
    this.#current = { ...this.#current, ...change };
    localStorage.setItem(STORED, JSON.stringify(this.#current));
    this.#emit('settings', this.#current);
    return Promise.resolve(this.#current);
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
    const { camera, microphone } = this.#current;
    const wanted = (id: string | null) => (id ? { deviceId: { exact: id } } : true);
    try {
      this.#preview = await navigator.mediaDevices.getUserMedia({
        video: wanted(camera),
        audio: wanted(microphone),
      });
    } catch (error) {
      throw explain(error);
    }
    this.#emit('devices', await this.devices());
    this.#sound = new AudioContext();
    const analyser = new AnalyserNode(this.#sound, { fftSize: 2048 });
    this.#sound.createMediaStreamSource(this.#preview).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    this.#timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const level = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
      this.#emit('level', { level, clipped: samples.some((sample) => Math.abs(sample) >= 1) });
    }, 1000 / LEVELS_PER_SECOND);
  }

  async stopPreview() {
    clearInterval(this.#timer);
    for (const track of this.#preview?.getTracks() ?? []) track.stop();
    this.#preview = undefined;
    await this.#sound?.close();
    this.#sound = undefined;
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
    return refuse('no_shell', 'Test calls need the desktop program: cargo xtask run --window.');
  }

  hangUp() {
    return Promise.resolve(null);
  }

  setMuted() {
    return Promise.resolve();
  }

  setCameraOn() {
    return Promise.resolve();
  }

  mediaAccess(): Promise<MediaAccess> {
    return refuse('no_shell', 'Pictures need the desktop program: cargo xtask run --window.');
  }

  on<Name extends keyof BackendEvents>(name: Name, handle: (payload: BackendEvents[Name]) => void) {
    const listener = (event: Event) => handle((event as CustomEvent<BackendEvents[Name]>).detail);
    this.#targets.addEventListener(name, listener);
    return () => this.#targets.removeEventListener(name, listener);
  }

  #emit<Name extends keyof BackendEvents>(name: Name, detail: BackendEvents[Name]) {
    this.#targets.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

function refuse(code: string, message: string): Promise<never> {
  return Promise.reject(Object.assign(new Error(message), { code }) satisfies CommandError);
}

function explain(error: unknown): CommandError {
  const { name, message } = error as DOMException;
  const codes: Record<string, string> = {
    NotFoundError: 'no_camera',
    OverconstrainedError: 'unknown_camera',
    NotReadableError: 'camera_busy',
    NotAllowedError: 'camera_denied',
  };
  return Object.assign(new Error(message), { code: codes[name] ?? 'camera' });
}
