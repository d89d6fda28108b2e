import { describe, expect, it } from 'vitest';

import { toRgba } from './colour';
import { i420Bytes, parsePicture } from './protocol';

function message(format: number, flags: number, width: number, height: number, payload: number[]) {
  const bytes = new Uint8Array(24 + payload.length);
  const header = new DataView(bytes.buffer);
  header.setUint8(0, format);
  header.setUint8(1, flags);
  header.setUint16(2, width, true);
  header.setUint16(4, height, true);
  header.setUint32(8, 0xffff_ffff, true);
  header.setBigUint64(16, 1_234_567_890_123n, true);
  bytes.set(payload, 24);
  return bytes.buffer;
}

describe('a picture from the socket', () => {
  it('tells everything its header says', () => {
    expect(parsePicture(message(1, 0b101, 1280, 720, [0, 0, 0, 1]))).toEqual({
      format: 'h264',
      keyFrame: true,
      colour: { matrix: 'bt709', fullRange: false },
      width: 1280,
      height: 720,
      number: 0xffff_ffff,
      timestamp: 1_234_567_890_123,
      payload: new Uint8Array([0, 0, 0, 1]),
    });
    expect(parsePicture(message(1, 0b010, 2, 2, [9]))).toMatchObject({
      keyFrame: false,
      colour: { matrix: 'bt601', fullRange: true },
    });
  });

  it('is refused when it is not one', () => {
    expect(parsePicture(new ArrayBuffer(0))).toBeNull();
    expect(parsePicture(new ArrayBuffer(24))).toBeNull();
    expect(parsePicture(message(3, 0, 2, 2, [1]))).toBeNull();
    expect(parsePicture(message(2, 0, 0, 2, [1]))).toBeNull();
  });

  it('is refused when its planes do not have the size it says', () => {
    expect(i420Bytes(3, 3)).toBe(9 + 4 + 4);
    expect(parsePicture(message(2, 0, 3, 3, Array<number>(17).fill(0)))).not.toBeNull();
    expect(parsePicture(message(2, 0, 3, 3, Array<number>(16).fill(0)))).toBeNull();
    expect(parsePicture(message(2, 0, 3, 3, Array<number>(18).fill(0)))).toBeNull();
  });
});

describe('the conversion of colours', () => {
  // Pure red in 8 bits, worked out by hand from BT.601 and BT.709.
  it.each([
    ['bt601', false, [81, 90, 240]],
    ['bt709', false, [63, 102, 240]],
    ['bt601', true, [76, 85, 255]],
    ['bt709', true, [54, 99, 255]],
  ] as const)('gives red for %s, full range %s', (matrix, fullRange, [y, u, v]) => {
    const rgba = new Uint8ClampedArray(4);
    toRgba(new Uint8Array([y, u, v]), 1, 1, { matrix, fullRange }, rgba);
    expect(Math.abs(rgba[0]! - 255)).toBeLessThanOrEqual(2);
    expect(rgba[1]).toBeLessThanOrEqual(2);
    expect(rgba[2]).toBeLessThanOrEqual(2);
    expect(rgba[3]).toBe(255);
  });

  it('gives the ends of the range black and white', () => {
    const rgba = new Uint8ClampedArray(8);
    const limited = { matrix: 'bt709', fullRange: false } as const;
    toRgba(new Uint8Array([16, 235, 128, 128]), 2, 1, limited, rgba);
    expect([...rgba]).toEqual([0, 0, 0, 255, 255, 255, 255, 255]);
  });

  it('takes colour for odd sizes from the right cell', () => {
    // 3 × 1: two cells of colour in a row. The third pixel has the second cell's.
    const rgba = new Uint8ClampedArray(12);
    toRgba(
      new Uint8Array([81, 81, 81, 90, 128, 240, 128]),
      3,
      1,
      { matrix: 'bt601', fullRange: false },
      rgba,
    );
    expect(rgba[0]).toBeGreaterThan(250);
    expect(rgba[4]).toBeGreaterThan(250);
    expect([rgba[8], rgba[9], rgba[10]]).toEqual([rgba[8], rgba[8], rgba[8]]);
  });
});
