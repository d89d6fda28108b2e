// What of a clip is seen at the other end of a call: for pictures of the clip, each compared with what was on the screen for it,
// which is the picture itself or, where that was not shown, the one that was shown before. Like crates/measure/src/seen.rs.
import { enlarge, lumaOf, readStamp, ssim } from './stamped.mjs';

/** One of so many pictures is compared, whatever arrives. A clip of 262 pictures gets its turn with each of them. */
const EVERY = 7;
/** Pictures captured within the last so many milliseconds may still be on their way. */
const UNDER_WAY = 500;

/**
 * Looks at what comes on `track`, which shows `clip`, {width, height, pictures, rate}, round and round. The original pictures
 * are asked of the page's server.
 */
export function watch(track, clip) {
  const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
  const found = [];
  let work = Promise.resolve();
  let last = null;
  let enlarged = null;

  const compare = (number, luma) => {
    work = work.then(async () => {
      if (enlarged?.of !== luma) enlarged = { of: luma, as: enlarge(luma, clip.width, clip.height) };
      found.push(ssim(await original(number % clip.pictures), enlarged.as));
    });
  };
  // Of those after the last that was shown; `last` was on the screen for them.
  const compareUntil = (end) => {
    for (let number = (Math.floor(last.number / EVERY) + 1) * EVERY; number < end; number += EVERY) compare(number, last.luma);
  };
  const original = async (index) => {
    const bytes = new Uint8Array(await (await fetch(`/luma/${index}`)).arrayBuffer());
    return { bytes, width: clip.width, height: clip.height, offset: 0, stride: clip.width };
  };

  const read = async () => {
    for (;;) {
      const { value: frame, done } = await reader.read();
      if (done) return;
      const at = performance.now();
      const luma = await lumaOf(frame);
      frame.close();
      const id = readStamp(luma, clip);
      if (id === null) continue;
      const number = numberOf(id, at, last, clip);
      if (number === null) continue;
      if (last) compareUntil(number);
      if (number % EVERY === 0) compare(number, luma);
      last = { number, at, luma };
    }
  };
  const reading = read();

  return {
    /** Resolves with the mean SSIM; null where nothing was compared. */
    async finish() {
      const at = performance.now();
      await reader.cancel();
      await reading;
      if (last) compareUntil(last.number + ((at - last.at - UNDER_WAY) * clip.rate) / 1000);
      await work;
      return found.length ? found.reduce((a, b) => a + b) / found.length : null;
    },
  };
}

/** Which picture of all rounds one with this number is; null for the last one once more. */
export function numberOf(id, at, last, { pictures, rate }) {
  if (!last) return id;
  const expected = last.number + ((at - last.at) * rate) / 1000;
  const number = id + pictures * Math.round((expected - id) / pictures);
  if (number === last.number) return null;
  return number > last.number ? number : number + pictures;
}
