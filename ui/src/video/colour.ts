import type { Colour } from './protocol';

/** What turns (Y, U, V), each 0 to 1, into (R, G, B): subtract `offset`, then `r = y·luma + v·rv` and so on. */
export interface Conversion {
  offset: [number, number, number];
  luma: number;
  rv: number;
  gu: number;
  gv: number;
  bu: number;
}

/** The weights of red and blue in brightness: ITU-R BT.601-7 and BT.709-6, section 3. */
const WEIGHTS = { bt601: [0.299, 0.114], bt709: [0.2126, 0.0722] } as const;

/** From the definitions of Y', Cb and Cr and their ranges in 8 bits (16–235 and 16–240 unless full). */
export function conversion({ matrix, fullRange }: Colour): Conversion {
  const [red, blue] = WEIGHTS[matrix];
  const green = 1 - red - blue;
  const luma = fullRange ? 1 : 255 / 219;
  const chroma = fullRange ? 1 : 255 / 224;
  const rv = 2 * (1 - red) * chroma;
  const bu = 2 * (1 - blue) * chroma;
  return {
    offset: [fullRange ? 0 : 16 / 255, 128 / 255, 128 / 255],
    luma,
    rv,
    gu: -(blue / green) * bu,
    gv: -(red / green) * rv,
    bu,
  };
}

/** Converts planes in I420 to opaque RGBA. */
export function toRgba(
  planes: Uint8Array,
  width: number,
  height: number,
  colour: Colour,
  rgba: Uint8ClampedArray,
) {
  const { offset, luma, rv, gu, gv, bu } = conversion(colour);
  const half = Math.ceil(width / 2);
  const firstU = width * height;
  const firstV = firstU + half * Math.ceil(height / 2);
  let to = 0;
  for (let row = 0; row < height; row++) {
    const chromaRow = (row >> 1) * half;
    for (let column = 0; column < width; column++) {
      const at = chromaRow + (column >> 1);
      const y = (planes[row * width + column]! - offset[0] * 255) * luma;
      const u = planes[firstU + at]! - offset[1] * 255;
      const v = planes[firstV + at]! - offset[2] * 255;
      rgba[to] = y + rv * v;
      rgba[to + 1] = y + gu * u + gv * v;
      rgba[to + 2] = y + bu * u;
      rgba[to + 3] = 255;
      to += 4;
    }
  }
}

/** The same for the web view's own means. */
export function colourSpace({ matrix, fullRange }: Colour): VideoColorSpaceInit {
  // Cameras take pictures for screens in sRGB, whose primaries are BT.709's; only the matrix differs.
  const standard = matrix === 'bt709' ? 'bt709' : 'smpte170m';
  return { matrix: standard, primaries: 'bt709', transfer: 'bt709', fullRange };
}
