import type { View } from './control';

/** By how much sides are divided: in the program's steps, so that not every size makes the encoder begin anew. */
const STEPS = [1, 4 / 3, 2, 8 / 3, 4, 16 / 3];
/** With this share of the rows that are shown nobody sees that a picture is enlarged. */
const SHARP = 0.95;

/** By how much pictures of a source can be made smaller without showing it, where they are fitted into a view. */
export function downscale({ width = 0, height = 0 }: Partial<View>, view: View): number {
  const share = Math.min(view.width / width, view.height / height);
  return STEPS.filter((step) => 1 / step >= share * SHARP).at(-1) ?? 1;
}
