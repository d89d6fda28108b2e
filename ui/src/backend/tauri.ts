import { invoke, isTauri } from '@tauri-apps/api/core';
import { listen } from '@tauri-apps/api/event';

import type { Backend } from '.';

export const inDesktopShell = isTauri;

/** The Rust shell, reached through Tauri's commands and events. */
export const tauriBackend: Backend = {
  appInfo: () => invoke('app_info'),
  settings: () => invoke('settings'),
  changeSettings: (change) => invoke('change_settings', { change }),
  devices: () => invoke('devices'),
  startPreview: () => invoke('start_preview'),
  stopPreview: () => invoke('stop_preview'),
  testSpeaker: () => invoke('test_speaker'),
  startTestCall: () => invoke('start_test_call'),
  hangUp: () => invoke('hang_up'),
  setMuted: (muted) => invoke('set_muted', { muted }),
  setCameraOn: (on) => invoke('set_camera_on', { on }),
  mediaAccess: () => invoke('media_access'),
  on(name, handle) {
    const listening = listen(name, ({ payload }) => handle(payload as never));
    return () => void listening.then((stop) => stop());
  },
};
