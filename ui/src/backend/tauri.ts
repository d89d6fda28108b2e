import { invoke, isTauri } from '@tauri-apps/api/core';

import type { Backend } from '.';
import type { AppInfo } from './bindings';

export const inDesktopShell = isTauri;

/** The Rust shell, reached through Tauri's commands. */
export const tauriBackend: Backend = {
  appInfo: () => invoke<AppInfo>('app_info'),
};
