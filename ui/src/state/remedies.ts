import type { AnyProblem, Ending } from '../backend';
import type { App } from './app.svelte';

export type DeviceKind = 'camera' | 'microphone' | 'speaker';
/** What a press can do about a problem. */
export type Remedy = 'retry' | 'choose' | 'check';

/** What a place needs that shows a problem with what helps. */
export interface RemedyProps {
  app: App;
  problem: AnyProblem;
  /** Opens where devices are chosen; left out where the person is there already. */
  onchoose?: () => void;
  /** Examines the connection; left out where that would take the person from what they are at. */
  oncheck?: () => void;
}

type Code = AnyProblem['code'];
/** What cameras, microphones and speakers suffer from alike. */
type Ailment<Of extends Code = Code> = Of extends `camera_${infer Name}` ? Name : never;

const ofDevices: Record<Ailment, readonly Remedy[]> = {
  // What is plugged in is opened by itself.
  missing: [],
  not_connected: ['choose'],
  busy: ['retry', 'choose'],
  denied: ['retry'],
  denied_by_browser: ['retry'],
  lost: ['choose'],
  stalled: ['choose'],
  unusable: ['choose'],
};

const others: Partial<Record<Code, readonly Remedy[]>> = {
  sound_system_missing: ['retry'],
  server_unreachable: ['check'],
  video_ended: ['retry'],
};

/** The kind of device that a problem is about, where it is about one. */
export function deviceOf(code: Code): DeviceKind | null {
  return (/^(camera|microphone|speaker)_/.exec(code)?.[1] as DeviceKind | undefined) ?? null;
}

/** What helps, the likeliest first. */
export function remedies(code: Code): readonly Remedy[] {
  const device = deviceOf(code);
  return device ? ofDevices[code.slice(device.length + 1) as Ailment] : (others[code] ?? []);
}

/** Endings of a call for which the connection may be to blame. */
const unconnected: readonly Ending[] = ['no_connection', 'connection_lost', 'no_server'];

export function isOfConnection(how: Ending): boolean {
  return unconnected.includes(how);
}

/** Whether a problem of a call is told where a device is shown. */
export function isOfDevice(code: Code): boolean {
  return deviceOf(code) !== null || code === 'sound_system_missing' || code === 'video_ended';
}
