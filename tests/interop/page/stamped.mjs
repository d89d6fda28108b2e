// Pictures that carry their numbers, and how close two of them are. The same as crates/measure/src/{stamp,picture}.rs and
// crates/media/src/scale.rs, for pages and for Node; a test of crates/bench compares the two.

// The cells of a stamp: 32 bits of id, 48 of time, 16 of CRC-16/CCITT-FALSE.
const LAYOUTS = [[32, 48], [16, 48], [8, 48], [4, 48], [4, 32]];
const maskedBy = ([cell, columns]) => Math.ceil((Math.ceil(96 / columns) * cell + 3) / 16) * 16;
const layoutOf = ({ width, height }) => LAYOUTS.find((l) => l[0] * l[1] <= width && maskedBy(l) <= Math.floor(height / 2));

/** Rows at the top of pictures of this size that are not compared. */
export const maskedRows = (size) => maskedBy(layoutOf(size));

/** The luma of a `VideoFrame`, which stays open. */
export async function lumaOf(frame) {
  const { width, height } = frame.visibleRect;
  const bytes = new Uint8Array(frame.allocationSize());
  const [plane] = await frame.copyTo(bytes);
  return { bytes, width, height, offset: plane.offset, stride: plane.stride };
}

/** The number of a picture that was captured in the size `captured`, whatever size it is in now; null where it can't be read. */
export function readStamp(luma, captured = luma) {
  const layout = layoutOf(captured);
  if (!layout) return null;
  const [cell, columns] = layout;
  const [across, down] = [luma.width / captured.width, luma.height / captured.height];
  const bits = [];
  for (let bit = 0; bit < 96; bit += 1) {
    // The outer quarter on each side is left to blur.
    const [x, y] = [(bit % columns) * cell + cell / 4, Math.floor(bit / columns) * cell + cell / 4];
    bits.push(mean(luma, x * across, y * down, (x + cell / 2) * across, (y + cell / 2) * down) > 125.5 ? 1 : 0);
  }
  const number = (from, length) => bits.slice(from, from + length).reduce((sum, bit) => sum * 2 + bit, 0);
  let crc = 0xffff;
  for (let byte = 0; byte < 10; byte += 1) {
    crc ^= number(byte * 8, 8) << 8;
    for (let i = 0; i < 8; i += 1) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc === number(80, 16) ? number(0, 32) : null;
}

function mean({ bytes, offset, stride }, left, top, right, bottom) {
  let [sum, count] = [0, 0];
  const [x0, y0] = [Math.floor(left), Math.floor(top)];
  const [x1, y1] = [Math.max(x0 + 1, Math.floor(right)), Math.max(y0 + 1, Math.floor(bottom))];
  for (let y = y0; y < y1; y += 1) {
    for (let x = x0; x < x1; x += 1) [sum, count] = [sum + bytes[offset + y * stride + x], count + 1];
  }
  return sum / count;
}

/** The picture in this size, between its samples linear. */
export function enlarge(luma, width, height) {
  if (luma.width === width && luma.height === height) return luma;
  const bytes = new Uint8Array(width * height);
  const [columns, rows] = [steps(luma.width, width), steps(luma.height, height)];
  const line = new Float32Array(luma.width);
  for (let y = 0; y < height; y += 1) {
    const [above, below] = [rows.from[y], rows.to[y]].map((row) => luma.offset + row * luma.stride);
    const down = rows.share[y];
    for (let x = 0; x < luma.width; x += 1) {
      line[x] = luma.bytes[above + x] * (1 - down) + luma.bytes[below + x] * down;
    }
    for (let x = 0; x < width; x += 1) {
      const across = columns.share[x];
      bytes[y * width + x] = line[columns.from[x]] * (1 - across) + line[columns.to[x]] * across + 0.5;
    }
  }
  return { bytes, width, height, offset: 0, stride: width };
}

/** Between which samples each of `to` lies when `from` are stretched over them, and how far from the first to the second. */
function steps(from, to) {
  const found = { from: new Int32Array(to), to: new Int32Array(to), share: new Float32Array(to) };
  for (let index = 0; index < to; index += 1) {
    const place = Math.min(Math.max(((index + 0.5) * from) / to - 0.5, 0), from - 1);
    found.from[index] = Math.floor(place);
    found.to[index] = Math.min(found.from[index] + 1, from - 1);
    found.share[index] = place - found.from[index];
  }
  return found;
}

/** Mean squared error of two pictures of one size; null where the sizes differ. */
export function squaredError(a, b) {
  if (a.width !== b.width || a.height !== b.height) return null;
  let error = 0;
  const top = maskedRows(a);
  for (let y = top; y < a.height; y += 1) {
    for (let x = 0; x < a.width; x += 1) {
      error += (a.bytes[a.offset + y * a.stride + x] - b.bytes[b.offset + y * b.stride + x]) ** 2;
    }
  }
  return error / ((a.height - top) * a.width);
}

// Windows of 8x8 every 4 samples are four blocks of this side each.
const BLOCK = 4;
const PIXELS = 4 * BLOCK * BLOCK;
const C1 = Math.floor(0.01 * 0.01 * 255 * 255 * PIXELS + 0.5);
const C2 = Math.floor(0.03 * 0.03 * 255 * 255 * PIXELS * (PIXELS - 1) + 0.5);

/** Structural similarity of two pictures of one size; null where the sizes differ. */
export function ssim(a, b) {
  if (a.width !== b.width || a.height !== b.height) return null;
  const top = maskedRows(a);
  const columns = Math.floor(a.width / BLOCK);
  const rows = Math.floor((a.height - top) / BLOCK);
  let [above, below] = [0, 1].map(() => Array.from({ length: 4 }, () => new Int32Array(columns)));
  let total = 0;
  for (let row = 0; row < rows; row += 1) {
    [above, below] = [below, above];
    measure(a, b, top + row * BLOCK, below);
    if (row > 0) total += ofWindows(above, below);
  }
  return total / ((columns - 1) * (rows - 1));
}

/** Sums of a, b, their squares and their products in each block of a line of blocks. */
function measure(a, b, top, [sumA, sumB, squares, products]) {
  for (let block = 0; block < sumA.length; block += 1) {
    let [ofA, ofB, square, product] = [0, 0, 0, 0];
    for (let y = top; y < top + BLOCK; y += 1) {
      const inA = a.offset + y * a.stride + block * BLOCK;
      const inB = b.offset + y * b.stride + block * BLOCK;
      for (let x = 0; x < BLOCK; x += 1) {
        const [one, other] = [a.bytes[inA + x], b.bytes[inB + x]];
        ofA += one;
        ofB += other;
        square += one * one + other * other;
        product += one * other;
      }
    }
    sumA[block] = ofA;
    sumB[block] = ofB;
    squares[block] = square;
    products[block] = product;
  }
}

function ofWindows(above, below) {
  let total = 0;
  for (let x = 0; x < above[0].length - 1; x += 1) {
    const a = above[0][x] + above[0][x + 1] + below[0][x] + below[0][x + 1];
    const b = above[1][x] + above[1][x + 1] + below[1][x] + below[1][x + 1];
    const squares = above[2][x] + above[2][x + 1] + below[2][x] + below[2][x + 1];
    const products = above[3][x] + above[3][x + 1] + below[3][x] + below[3][x + 1];
    const variances = squares * PIXELS - a * a - b * b;
    const covariance = products * PIXELS - a * b;
    total += ((2 * a * b + C1) * (2 * covariance + C2)) / ((a * a + b * b + C1) * (variances + C2));
  }
  return total;
}
