import { inDesktopShell, tauriBackend } from './tauri';
import type {
  AppInfo,
  BackendEvents,
  CallReport,
  CallSnapshot,
  CommandError,
  Devices,
  MediaAccess,
  Settings,
  SettingsChange,
} from './types';

export type * from './types';

/** Everything the window can ask of the program behind it. Commands reject with a `CommandError`. */
export interface Backend {
  appInfo(): Promise<AppInfo>;
  settings(): Promise<Settings>;
  /** Changes the fields that are given and tells the settings as they are now. */
  changeSettings(change: SettingsChange): Promise<Settings>;
  devices(): Promise<Devices>;
  /** Opens camera and microphone without a call: pictures on the stream `local`, events `level`. */
  startPreview(): Promise<void>;
  stopPreview(): Promise<void>;
  /** Plays a sound of two seconds and resolves when it has ended. */
  testSpeaker(): Promise<void>;
  startTestCall(): Promise<CallSnapshot>;
  /** Ends the call and tells what it was worth, or `null` when there was none. */
  hangUp(): Promise<CallReport | null>;
  setMuted(muted: boolean): Promise<void>;
  setCameraOn(on: boolean): Promise<void>;
  mediaAccess(): Promise<MediaAccess>;
  /** Calls `handle` for each event until the returned function is called. */
  on<Name extends keyof BackendEvents>(
    name: Name,
    handle: (payload: BackendEvents[Name]) => void,
  ): () => void;
}

/** The Rust shell when there is one, otherwise the browser itself, which the shell's window never loads. */
export async function connectBackend(): Promise<Backend> {
  return inDesktopShell() ? tauriBackend() : new (await import('./browser')).BrowserBackend();
}

/** Tells a failed command from a fault in the window's own code. */
export function isCommandError(error: unknown): error is CommandError {
  return typeof error === 'object' && error !== null && 'code' in error && 'message' in error;
}
