import type { Backend } from '.';
import { inDesktopShell, tauriBackend } from './tauri';

/** The Rust shell when there is one, otherwise the browser itself, which the shell's window never loads. */
export async function connectBackend(): Promise<Backend> {
  return inDesktopShell() ? tauriBackend() : new (await import('./browser')).BrowserBackend();
}
