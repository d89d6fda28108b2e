/** Where one's own picture stands over somebody else's. */
export const CORNERS = ['top-left', 'top-right', 'bottom-left', 'bottom-right'] as const;

export type Corner = (typeof CORNERS)[number];

export interface Point {
  x: number;
  y: number;
}

export interface Size {
  width: number;
  height: number;
}

/** Where a pointer was, and when, in milliseconds. */
export interface Step extends Point {
  at: number;
}

/** A hand that has rested for so long has put the picture down: it does not throw it. */
const REST_MS = 100;

/** For so long a picture that is let go would fly on. It makes a flick enough to cross the window. */
const FLIGHT_MS = 200;

export function isCorner(value: unknown): value is Corner {
  return CORNERS.some((corner) => corner === value);
}

/** The upper left point of what stands in a corner of a room. */
export function home(corner: Corner, room: Size, size: Size): Point {
  return {
    x: corner.endsWith('right') ? room.width - size.width : 0,
    y: corner.startsWith('bottom') ? room.height - size.height : 0,
  };
}

/** The point nearest to this one from where all of it is in the room. */
export function within({ x, y }: Point, room: Size, size: Size): Point {
  return {
    x: Math.max(0, Math.min(x, room.width - size.width)),
    y: Math.max(0, Math.min(y, room.height - size.height)),
  };
}

/** The last steps, as many as tell how fast a pointer is. */
export function recent(steps: readonly Step[], now: number): Step[] {
  return steps.filter(({ at }) => now - at < REST_MS);
}

/** Pixels in a millisecond. */
export function velocity(steps: readonly Step[], now: number): Point {
  const lately = recent(steps, now);
  const first = lately[0];
  const last = lately.at(-1);
  const time = first && last ? last.at - first.at : 0;
  if (!first || !last || time <= 0) return { x: 0, y: 0 };
  return { x: (last.x - first.x) / time, y: (last.y - first.y) / time };
}

/** The corner for what is let go with its middle here. */
export function nearest(middle: Point, speed: Point, room: Size): Corner {
  const x = middle.x + speed.x * FLIGHT_MS;
  const y = middle.y + speed.y * FLIGHT_MS;
  return `${y < room.height / 2 ? 'top' : 'bottom'}-${x < room.width / 2 ? 'left' : 'right'}`;
}

/** The corner that an arrow key leads to: the same where there is none further on. Null for other keys. */
export function neighbour(corner: Corner, key: string): Corner | null {
  const [row, column] = corner.split('-') as ['top' | 'bottom', 'left' | 'right'];
  switch (key) {
    case 'ArrowUp':
      return `top-${column}`;
    case 'ArrowDown':
      return `bottom-${column}`;
    case 'ArrowLeft':
      return `${row}-left`;
    case 'ArrowRight':
      return `${row}-right`;
    default:
      return null;
  }
}
