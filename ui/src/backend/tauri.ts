import { invoke, isTauri } from '@tauri-apps/api/core';
import { listen } from '@tauri-apps/api/event';

import type { Backend } from '.';
import type * as shell from './bindings';
import type { BackendEvents, CallReport, CallSnapshot, CallStats, DeviceState } from './types';

export const inDesktopShell = isTauri;

type Handlers = { [Name in keyof BackendEvents]: Set<(payload: BackendEvents[Name]) => void> };

/** The shell tells of a call while there is one; the window also wants to know that there is none. */
const idle: CallSnapshot = {
  phase: 'idle',
  started_ms_ago: null,
  muted: false,
  camera_on: true,
  camera: { state: 'off', name: null, message: null },
  microphone: { state: 'off', name: null, message: null },
  speaker: { state: 'off', name: null, message: null },
  problems: [],
};

/** The Rust shell, reached through Tauri's commands and its one event. */
class TauriBackend implements Backend {
  readonly #handlers: Handlers = {
    devices: new Set(),
    call: new Set(),
    stats: new Set(),
    level: new Set(),
    settings: new Set(),
    trouble: new Set(),
    ended: new Set(),
  };
  /** When the ends were connected, on the window's clock. */
  #runningSince: number | null = null;
  readonly #listening = listen<shell.DeskEvent>('desk', ({ payload }) => this.#take(payload));

  appInfo = () => invoke<shell.AppInfo>('app_info');
  settings = () => invoke<shell.Settings>('settings');
  changeSettings = (change: shell.SettingsChange) => invoke<shell.Settings>('change_settings', { change });
  devices = () => invoke<shell.Devices>('devices');
  stopPreview = () => invoke<void>('stop_preview');
  testSpeaker = () => invoke<void>('test_speaker');
  setMuted = (muted: boolean) => invoke<void>('set_muted', { muted });
  setCameraOn = (on: boolean) => invoke<void>('set_camera_on', { on });
  mediaAccess = () => invoke<shell.Access>('media_access');

  async startPreview(): Promise<void> {
    await this.#listening;
    await invoke('start_preview');
  }

  async startTestCall(): Promise<CallSnapshot> {
    await this.#listening;
    this.#runningSince = null;
    await invoke('start_test_call');
    return { ...idle, phase: 'connecting' };
  }

  async hangUp(): Promise<CallReport | null> {
    const summary = await invoke<shell.CallSummary | null>('hang_up');
    return summary && report(summary);
  }

  on<Name extends keyof BackendEvents>(
    name: Name,
    handle: (payload: BackendEvents[Name]) => void,
  ): () => void {
    this.#handlers[name].add(handle);
    return () => this.#handlers[name].delete(handle);
  }

  #tell<Name extends keyof BackendEvents>(name: Name, payload: BackendEvents[Name]) {
    for (const handle of this.#handlers[name]) handle(payload);
  }

  #take(event: shell.DeskEvent) {
    switch (event.type) {
      case 'call':
        if (event.data.phase === 'running') this.#runningSince ??= performance.now();
        return this.#tell('call', this.#snapshot(event.data));
      case 'stats':
        return this.#tell('stats', stats(event.data));
      case 'ended':
        this.#runningSince = null;
        this.#tell('ended', report(event.data));
        return this.#tell('call', idle);
      case 'level':
        return this.#tell('level', event.data);
      case 'preview':
        return this.#tell('trouble', event.data);
      case 'settings':
        return this.#tell('settings', event.data);
    }
  }

  #snapshot(call: shell.CallSnapshot): CallSnapshot {
    return {
      phase: call.phase,
      started_ms_ago: this.#runningSince === null ? null : performance.now() - this.#runningSince,
      muted: call.muted,
      camera_on: call.camera.standing !== 'off',
      camera: device(call.camera),
      microphone: device(call.microphone),
      speaker: device(call.speaker),
      problems: call.problems,
    };
  }
}

export const tauriBackend = (): Backend => new TauriBackend();

function device({ standing, name, trouble }: shell.CallDevice): DeviceState {
  const state = standing === 'changing' ? 'opening' : standing;
  return { state: trouble === null ? state : 'failed', name: name || null, message: trouble };
}

function stats(stats: shell.CallStats): CallStats {
  const { network, jitter_buffer, ...stages } = stats.stages_ms;
  return { ...stats, stages_ms: { ...stages, send: network, receive: jitter_buffer } };
}

function report(summary: shell.CallSummary): CallReport {
  return {
    ...summary,
    fps: summary.fps ?? 0,
    freezes: summary.freezes ?? 0,
    bitrate_kbps: summary.bitrate_kbps ?? 0,
  };
}
