// @vitest-environment node
import type { BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { en } from '../src/messages/en';
import { CORNERS, type Corner, type Point } from '../src/state/corner';
import { openStage, type Stage } from './browser';
import { scenes } from './screenshots/scenes';
import { personCall } from './scripted-backend';

let stage: Stage;
let page: Page;

beforeAll(async () => {
  stage = await openStage();
});

afterAll(() => stage?.stop());

afterEach(() => page?.close());

const OTHER = '.two > .tile';

// Within the time limit of a test.
const patiently = { timeout: 20_000 };

async function openCall(width: number, height: number, more: BrowserContextOptions = {}) {
  page = await stage.browser.newPage({ viewport: { width, height }, reducedMotion: 'reduce', ...more });
  // No picture ever comes: this is about where it would be.
  await page.exposeFunction('mediaAccess', () => new Promise(() => undefined));
  await page.goto(`${stage.url}tests/screenshots/index.html?scene=call-person&language=en`);
  await scenes['call-person'].go!(page, en);
  const current = { ...personCall, name: 'Ada King, the Countess of Lovelace', muted_there: true };
  await page.evaluate((detail) => document.dispatchEvent(new CustomEvent('person', { detail })), current);
  await viewAt('bottom-right').waitFor();
}

const viewAt = (corner: Corner) =>
  page.getByRole('application', { name: en.tile.movable(en.tile.corners[corner]) });

interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

function boxOf(selector: string): Promise<Box> {
  return page.locator(selector).evaluate((element) => {
    const { left, top, right, bottom } = element.getBoundingClientRect();
    return { left, top, right, bottom };
  });
}

/** How far the inner one is from each edge of the outer one. */
const gaps = (inner: Box, outer: Box) => ({
  left: inner.left - outer.left,
  top: inner.top - outer.top,
  right: outer.right - inner.right,
  bottom: outer.bottom - inner.bottom,
});

const isIn = (inner: Box, outer: Box) => Object.values(gaps(inner, outer)).every((gap) => gap >= -0.01);

const overlap = (a: Box, b: Box) =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

const middle = ({ left, top, right, bottom }: Box): Point => ({
  x: (left + right) / 2,
  y: (top + bottom) / 2,
});

/** A box's corner. */
const towards = (corner: Corner, { left, top, right, bottom }: Box): Point => ({
  x: corner.endsWith('right') ? right : left,
  y: corner.startsWith('bottom') ? bottom : top,
});

/** Takes the view by its middle and leads it there. */
async function lead(to: Point) {
  const from = middle(await boxOf('.floating'));
  await page.mouse.move(from.x, from.y);
  await page.mouse.down();
  await page.mouse.move(to.x, to.y, { steps: 3 });
}

describe('one’s own picture', () => {
  it.each([
    ['over the other picture in', 'the smallest window', 360, 480],
    ['below or above it in', 'a narrow window', 360, 740],
    ['over it in', 'the usual window', 1040, 720],
    ['beside it in', 'a low window', 1200, 480],
    ['beside it in', 'a wide window', 2560, 1080],
    ['over it in', 'a large window', 3840, 2160],
  ])('stands %s %s, and covers nothing else', async (where, _, width, height) => {
    await openCall(width, height);
    const area = await boxOf('.two');
    for (const corner of [...CORNERS].reverse()) {
      await lead(towards(corner, area));
      await page.mouse.up();
      await viewAt(corner).waitFor();
      const own = await boxOf('.floating');
      const plate = await boxOf(`${OTHER} figcaption`);
      expect(isIn(own, await boxOf('.stage')), corner).toBe(true);
      expect(isIn(plate, await boxOf(OTHER)), `the name, at the ${corner}`).toBe(true);
      expect(overlap(own, plate), `the name, at the ${corner}`).toBe(false);
      expect(overlap(own, await boxOf(OTHER)), corner).toBe(where.startsWith('over'));
    }
  });

  it('stays in its corner when the window changes, and beside messages', async () => {
    await openCall(1040, 720);
    await viewAt('bottom-right').press('ArrowUp');
    const inCorner = async () => {
      const { top, right } = gaps(await boxOf('.floating'), await boxOf(OTHER));
      return [Math.round(top), Math.round(right)];
    };
    expect(await inCorner()).toEqual([12, 12]);
    await page.setViewportSize({ width: 1400, height: 800 });
    expect(await inCorner()).toEqual([12, 12]);
    await page.keyboard.press('t');
    await page.getByRole('complementary').waitFor();
    expect(await inCorner()).toEqual([12, 12]);
    expect(overlap(await boxOf('.floating'), await boxOf('aside'))).toBe(false);
  });

  it('is under the pointer while it is dragged, and does not leave the other picture', async () => {
    await openCall(1040, 720);
    const to = middle(await boxOf('.two'));
    await lead(to);
    const seen = middle(await boxOf('.floating'));
    expect(seen.x).toBeCloseTo(to.x, 0);
    expect(seen.y).toBeCloseTo(to.y, 0);
    await page.mouse.move(0, 0);
    expect(gaps(await boxOf('.floating'), await boxOf('.two'))).toMatchObject({ left: 12, top: 12 });
    await page.keyboard.press('Escape');
    expect(gaps(await boxOf('.floating'), await boxOf('.two'))).toMatchObject({ right: 12, bottom: 12 });
  });

  /** Tells what begins to move by itself. */
  async function watch() {
    const begun: string[] = [];
    await page.exposeFunction('tell', (property: string) => begun.push(property));
    await page.locator('.floating').evaluate((view) => {
      const { tell } = window as unknown as { tell: (property: string) => void };
      view.addEventListener('transitionrun', (event) => tell((event as TransitionEvent).propertyName));
    });
    return begun;
  }

  const inTopLeft = async () => {
    const { left, top } = gaps(await boxOf('.floating'), await boxOf('.two'));
    return Math.round(left) === 12 && Math.round(top) === 12;
  };

  it('glides into its corner, by pointer and by key', async () => {
    await openCall(1040, 720, { reducedMotion: 'no-preference' });
    const begun = await watch();
    await lead({ x: 150, y: 200 });
    expect(begun).toEqual([]);
    await page.mouse.up();
    await expect.poll(inTopLeft, patiently).toBe(true);
    expect(begun).toEqual(['transform']);
    await viewAt('top-left').press('ArrowRight');
    await expect.poll(() => begun, patiently).toEqual(['transform', 'transform']);
  });

  it('is there at once where less motion is wanted', async () => {
    await openCall(1040, 720);
    const begun = await watch();
    await lead({ x: 150, y: 200 });
    await page.mouse.up();
    expect(await inTopLeft()).toBe(true);
    expect(begun).toEqual([]);
  });

  it('follows a finger, which scrolls nothing', async () => {
    await openCall(360, 740, { hasTouch: true });
    const devtools = await page.context().newCDPSession(page);
    const touch = (type: 'touchStart' | 'touchMove' | 'touchEnd', ...touchPoints: Point[]) =>
      devtools.send('Input.dispatchTouchEvent', { type, touchPoints });
    const from = middle(await boxOf('.floating'));
    const to = towards('top-left', await boxOf('.two'));
    await touch('touchStart', from);
    for (const part of [0.1, 0.4, 0.7, 1]) {
      await touch('touchMove', { x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part });
    }
    await touch('touchEnd');
    await viewAt('top-left').waitFor();
  });
});
