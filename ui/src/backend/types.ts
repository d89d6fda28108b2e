// What window and shell exchange. Times are in milliseconds, sizes in pixels, rates in kilobits per second.

export type { AppInfo } from './bindings';

/** A failed command: the code is for decisions, the message is a sentence for people and logs. */
export interface CommandError {
  code: string;
  message: string;
}

export type Language = 'system' | 'en' | 'zh';
export type Theme = 'system' | 'light' | 'dark';
export type PictureSize = '360p' | '720p' | '1080p';

export interface Settings {
  name: string;
  language: Language;
  theme: Theme;
  /** `null` is the system's choice, as for the other devices. */
  camera: string | null;
  microphone: string | null;
  speaker: string | null;
  picture: PictureSize;
  /** Show one's own picture as in a mirror. Others always see it as it is. */
  mirror_self: boolean;
  first_run_done: boolean;
}

export type SettingsChange = Partial<Settings>;

export interface Camera {
  id: string;
  name: string;
  formats: string[];
}

export interface SoundDevice {
  id: string;
  name: string;
  is_default: boolean;
  /** The sound system that offers it. */
  backend: string;
}

export interface Devices {
  cameras: Camera[];
  microphones: SoundDevice[];
  speakers: SoundDevice[];
  /** Sentences about what could not be listed. */
  problems: string[];
}

export type CallPhase = 'idle' | 'connecting' | 'running' | 'ending';

export interface DeviceState {
  state: 'off' | 'opening' | 'on' | 'failed';
  name: string | null;
  /** Why it failed, as a sentence. */
  message: string | null;
}

export interface Problem {
  code: string;
  message: string;
}

export interface CallSnapshot {
  phase: CallPhase;
  started_ms_ago: number | null;
  muted: boolean;
  camera_on: boolean;
  camera: DeviceState;
  microphone: DeviceState;
  speaker: DeviceState;
  problems: Problem[];
}

export interface VideoStats {
  fps_captured: number;
  fps_encoded: number;
  fps_sent: number;
  fps_received: number;
  fps_decoded: number;
  fps_shown: number;
  bitrate_kbps: number;
  width: number;
  height: number;
  latency_ms: number | null;
  freezes: number;
  freeze_ms: number;
}

export interface AudioStats {
  bitrate_kbps: number;
  delay_ms: number | null;
  concealed_percent: number;
  /** 0 to 1, as `level_out`. */
  level_in: number;
  level_out: number;
}

export interface NetworkStats {
  loss_percent: number;
  jitter_ms: number;
  round_trip_ms: number | null;
}

export interface StageTimes {
  capture_to_encode: number | null;
  encode: number | null;
  send: number | null;
  receive: number | null;
  decode: number | null;
  show: number | null;
}

export interface CallStats {
  at_ms: number;
  video: VideoStats;
  audio: AudioStats;
  network: NetworkStats;
  stages_ms: StageTimes;
  /** Of one core. */
  cpu_percent: number;
  memory_mb: number;
}

export interface CallReport {
  seconds: number;
  ok: boolean;
  problems: Problem[];
  setup_ms: number | null;
  fps: number;
  freezes: number;
  latency_ms: number | null;
  audio_delay_ms: number | null;
  bitrate_kbps: number;
}

export interface MicrophoneLevel {
  /** 0 to 1. */
  level: number;
  clipped: boolean;
}

/** Where pictures come from. The token opens one connection. */
export interface MediaAccess {
  url: string;
  token: string;
}

/** What keeps the preview from showing more, as sentences. */
export interface PreviewTrouble {
  camera: string | null;
  microphone: string | null;
}

/** What the program tells, by name. */
export interface BackendEvents {
  /** A call is over, hung up or not. */
  ended: CallReport;
  trouble: PreviewTrouble;
  devices: Devices;
  call: CallSnapshot;
  stats: CallStats;
  level: MicrophoneLevel;
  settings: Settings;
}
