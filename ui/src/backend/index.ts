import type { AppInfo, CommandError } from './bindings';
import { browserBackend } from './browser';
import { inDesktopShell, tauriBackend } from './tauri';

export type { AppInfo, CommandError, ErrorCode } from './bindings';

/** Everything the window can ask of the program behind it. */
export interface Backend {
  /** Rejects with a `CommandError`. */
  appInfo(): Promise<AppInfo>;
}

/** The Rust shell when there is one, otherwise the browser itself. */
export function connectBackend(): Backend {
  return inDesktopShell() ? tauriBackend : browserBackend;
}

/** Tells a failed command from a fault in the window's own code. */
export function isCommandError(error: unknown): error is CommandError {
  return typeof error === 'object' && error !== null && 'code' in error && 'message' in error;
}
