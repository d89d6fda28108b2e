/**
 * The language of the media socket: one WebSocket on the loopback interface for each stream.
 *
 * The page says who it is (`hello`), then grants credit. The program sends one binary message for each picture while it
 * has credit, so that pictures wait nowhere but at their source, where newer ones replace them.
 */

import type { Area } from './area';

export type Stream = 'local' | 'remote';
export type Format = 'h264' | 'i420';

/** Pictures under way at once: one that is drawn, one in the decoder, one on the socket. */
export const FIRST_CREDIT = 3;

export const CLOSED_BAD_TOKEN = 4401;
/** The stream has ended: whoever asks for it again waits for the next one. */
export const CLOSED_ENDED = 4404;
/** Another page draws the stream now. */
export const CLOSED_TAKEN_OVER = 4409;

const HEADER_BYTES = 24;
const FORMATS: Record<number, Format> = { 1: 'h264', 2: 'i420' };
const KEY_FRAME = 1;
const FULL_RANGE = 2;
const BT709 = 4;

/** How brightness and colour differences become red, green and blue. */
export interface Colour {
  matrix: 'bt601' | 'bt709';
  fullRange: boolean;
}

export interface Picture {
  format: Format;
  keyFrame: boolean;
  colour: Colour;
  width: number;
  height: number;
  /** Counts pictures and wraps at 2³². */
  number: number;
  /** When it is to be seen, in microseconds. */
  timestamp: number;
  /** An H.264 access unit in Annex B form, or the planes Y, U, V without gaps. */
  payload: Uint8Array<ArrayBuffer>;
}

/** One message of the program, or `null` when it is none that this page understands. */
export function parsePicture(message: ArrayBuffer): Picture | null {
  if (message.byteLength <= HEADER_BYTES) return null;
  const header = new DataView(message, 0, HEADER_BYTES);
  const format = FORMATS[header.getUint8(0)];
  const flags = header.getUint8(1);
  const width = header.getUint16(2, true);
  const height = header.getUint16(4, true);
  const payload = new Uint8Array(message, HEADER_BYTES);
  if (!format) return null;
  // H.264 says its size itself.
  if (format === 'i420' && (width === 0 || height === 0 || payload.length !== i420Bytes(width, height)))
    return null;
  return {
    format,
    keyFrame: (flags & KEY_FRAME) !== 0,
    colour: { matrix: flags & BT709 ? 'bt709' : 'bt601', fullRange: (flags & FULL_RANGE) !== 0 },
    width,
    height,
    number: header.getUint32(8, true),
    // Beyond 2⁵³ µs, 285 years, the number would lose precision.
    timestamp: Number(header.getBigUint64(16, true)),
    payload,
  };
}

/** The bytes of an I420 picture: colour has half of the size, rounded up, in both directions. */
export function i420Bytes(width: number, height: number): number {
  return width * height + 2 * Math.ceil(width / 2) * Math.ceil(height / 2);
}

export const hello = (token: string, stream: Stream, accepts: Format) =>
  JSON.stringify({ token, stream, accepts });
export const credit = (pictures: number) => JSON.stringify({ type: 'credit', pictures });
export const shown = (picture: number) => JSON.stringify({ type: 'shown', picture });
export const keyFrameWanted = () => JSON.stringify({ type: 'keyframe' });
export const accepts = (format: Format) => JSON.stringify({ type: 'accepts', format });
export const size = ({ width, height }: Area) => JSON.stringify({ type: 'size', width, height });
