import type { CallSignal } from '../backend/protocol';

/** The label of the data channel over which two participants talk directly. */
export const CONTROL_CHANNEL = 'ahoy-control';
/** A longer message is nobody's who means well. */
const LONGEST = 64 * 1024;

/** What one sends at the moment. */
export interface MediaState {
  microphone: boolean;
  camera: boolean;
  /** The camera is on and its pictures are held back for now, because the connection carries nothing but sound. */
  paused?: boolean;
}

/** In which size pictures are shown, in pixels of the screen. */
export interface View {
  width: number;
  height: number;
}

/** Nobody's screen has a longer side. */
const LONGEST_SIDE = 16_384;

/** What is said over it (crates/call/src/control.rs). */
export type Control =
  | { type: 'hang_up' }
  | { type: 'hold'; on: boolean }
  | { type: 'media'; media: MediaState }
  | { type: 'view'; view: View | null }
  | { type: 'signal'; signal: CallSignal };

/** Reads a message; undefined for one that is not understood, which is ignored. */
export function readControl(data: unknown): Control | undefined {
  if (typeof data !== 'string' || data.length > LONGEST) return undefined;
  let read: unknown;
  try {
    read = JSON.parse(data);
  } catch {
    return undefined;
  }
  if (typeof read !== 'object' || read === null) return undefined;
  const message = read as Record<string, unknown>;
  const bool = (value: unknown) => typeof value === 'boolean';
  switch (message.type) {
    case 'hang_up':
      return { type: 'hang_up' };
    case 'hold':
      return bool(message.on) ? (message as Control) : undefined;
    case 'media': {
      const media = message.media as MediaState | undefined;
      const known = media && [media.microphone, media.camera, media.paused ?? false].every(bool);
      return known ? (message as Control) : undefined;
    }
    case 'view': {
      const view = message.view as View | null | undefined;
      const side = (pixels: unknown) =>
        Number.isInteger(pixels) && Number(pixels) >= 1 && Number(pixels) <= LONGEST_SIDE;
      const known = view === null || (view && [view.width, view.height].every(side));
      return known ? { type: 'view', view } : undefined;
    }
    case 'signal':
      return typeof message.signal === 'object' && message.signal ? (message as Control) : undefined;
    default:
      return undefined;
  }
}
