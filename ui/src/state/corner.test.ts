import { describe, expect, it } from 'vitest';

import { CORNERS, home, isCorner, nearest, neighbour, velocity, within, type Step } from './corner';

const room = { width: 1000, height: 600 };
const size = { width: 200, height: 100 };
const still = { x: 0, y: 0 };

describe('one’s own picture', () => {
  it('stands at the edges of its room', () => {
    expect(CORNERS.map((corner) => home(corner, room, size))).toEqual([
      { x: 0, y: 0 },
      { x: 800, y: 0 },
      { x: 0, y: 500 },
      { x: 800, y: 500 },
    ]);
  });

  it('does not leave its room', () => {
    expect(within({ x: 300, y: 200 }, room, size)).toEqual({ x: 300, y: 200 });
    expect(within({ x: -50, y: 900 }, room, size)).toEqual({ x: 0, y: 500 });
    expect(within({ x: 50, y: 50 }, { width: 100, height: 50 }, size)).toEqual({ x: 0, y: 0 });
  });

  it('goes to the corner whose quarter it is let go in', () => {
    expect(nearest({ x: 499, y: 299 }, still, room)).toBe('top-left');
    expect(nearest({ x: 501, y: 299 }, still, room)).toBe('top-right');
    expect(nearest({ x: 499, y: 301 }, still, room)).toBe('bottom-left');
    expect(nearest({ x: 501, y: 301 }, still, room)).toBe('bottom-right');
  });

  it('flies on as it is thrown, in each direction for itself', () => {
    expect(nearest({ x: 800, y: 500 }, { x: -2, y: 0 }, room)).toBe('bottom-left');
    expect(nearest({ x: 800, y: 500 }, { x: 0, y: -1.5 }, room)).toBe('top-right');
    expect(nearest({ x: 800, y: 500 }, { x: -2, y: -1.5 }, room)).toBe('top-left');
    expect(nearest({ x: 300, y: 500 }, { x: -2, y: 1 }, room)).toBe('bottom-left');
  });

  it('comes back when it is hardly thrown', () => {
    expect(nearest({ x: 800, y: 500 }, { x: -0.4, y: -0.4 }, room)).toBe('bottom-right');
  });

  it('follows the arrow keys to the next corner, and no further', () => {
    expect(neighbour('bottom-right', 'ArrowUp')).toBe('top-right');
    expect(neighbour('top-right', 'ArrowLeft')).toBe('top-left');
    expect(neighbour('top-left', 'ArrowDown')).toBe('bottom-left');
    expect(neighbour('bottom-left', 'ArrowRight')).toBe('bottom-right');
    expect(neighbour('bottom-right', 'ArrowRight')).toBe('bottom-right');
    expect(neighbour('bottom-right', 'Enter')).toBeNull();
  });

  it('takes nothing for a corner that is none', () => {
    expect(CORNERS.every(isCorner)).toBe(true);
    expect(isCorner('middle')).toBe(false);
    expect(isCorner(null)).toBe(false);
  });
});

describe('the speed of a pointer', () => {
  const steps: Step[] = [
    { x: 0, y: 0, at: 0 },
    { x: 100, y: 40, at: 180 },
    { x: 160, y: 10, at: 210 },
    { x: 220, y: -20, at: 240 },
  ];

  it('is that of its last steps', () => {
    expect(velocity(steps, 250)).toEqual({ x: 2, y: -1 });
  });

  it('is nothing once it has rested', () => {
    expect(velocity(steps, 400)).toEqual(still);
  });

  it('is nothing where there is no time to tell it from', () => {
    expect(velocity([], 0)).toEqual(still);
    expect(velocity([{ x: 5, y: 5, at: 10 }], 10)).toEqual(still);
    expect(velocity([steps[0]!, { x: 90, y: 0, at: 0 }], 0)).toEqual(still);
  });
});
