// @vitest-environment node
import { readFileSync } from 'node:fs';

import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { Colour } from '../src/video/protocol';
import { openStage, type Stage } from './browser';
import { MediaServer, type Connection, type OutgoingPicture } from './media-server';

/*
 * clips/numbered.h264: ten pictures of 128 × 96, constrained baseline, a key frame every five, one access unit delimiter
 * before each. Quarters in (Y, U, V): (81, 90, 240), (145, 54, 34), (41, 240, 110), (128, 128, 128). In the grey one four
 * cells of 16 × 16 from (64, 64) tell the picture's number, the lowest bit first: 235 is one, 16 zero. Nothing in the
 * stream says which matrix its colours are in: that is the message's job.
 */
const clip = accessUnits(readFileSync(new URL('clips/numbered.h264', import.meta.url)));

const BT601: Colour = { matrix: 'bt601', fullRange: false };
const BT709: Colour = { matrix: 'bt709', fullRange: false };

/** What the first three quarters look like, worked out from the definitions of the two matrices. */
const COLOURS = {
  bt601: [
    [255, 0, 0],
    [0, 255, 1],
    [0, 0, 255],
  ],
  bt709: [
    [255, 24, 0],
    [0, 216, 0],
    [0, 14, 255],
  ],
} as const;

let stage: Stage;
let server: MediaServer;
let page: Page;

beforeAll(async () => {
  stage = await openStage();
});

afterAll(() => stage?.stop());

beforeEach(async () => {
  server = await MediaServer.start();
  page = await stage.browser.newPage({ viewport: { width: 320, height: 240 } });
});

afterEach(async () => {
  await page.close();
  await server.stop();
});

async function open(before = ''): Promise<Connection> {
  await page.exposeFunction('mediaAccess', () => server.access());
  if (before) await page.addInitScript(before);
  await page.goto(`${stage.url}tests/player.html`);
  const connection = await server.connection();
  await connection.until(() => connection.credit === 3);
  return connection;
}

function accessUnits(stream: Buffer): Buffer[] {
  const delimiter = Buffer.from([0, 0, 0, 1, 9]);
  const starts: number[] = [];
  for (let at = stream.indexOf(delimiter); at >= 0; at = stream.indexOf(delimiter, at + 1)) starts.push(at);
  return starts.map((start, unit) => stream.subarray(start, starts[unit + 1]));
}

const encoded = (number: number, colour = BT601): OutgoingPicture => ({
  format: 'h264',
  keyFrame: number % 5 === 0,
  colour,
  width: 128,
  height: 96,
  number,
  payload: clip[number % 10]!,
});

function raw(number: number, colour: Colour): OutgoingPicture {
  const [width, height] = [128, 96];
  const planes = Buffer.alloc((width * height * 3) / 2);
  const quarters = [
    [81, 90, 240],
    [145, 54, 34],
    [41, 240, 110],
    [128, 128, 128],
  ];
  const half = (width / 2) * (height / 2);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [luma, u, v] = quarters[(y >= height / 2 ? 2 : 0) + (x >= width / 2 ? 1 : 0)]!;
      planes[y * width + x] = luma!;
      const at = (y >> 1) * (width / 2) + (x >> 1);
      planes[width * height + at] = u!;
      planes[width * height + half + at] = v!;
    }
  }
  return { format: 'i420', colour, width, height, number, payload: planes };
}

type Rgb = [number, number, number];

/** What a person sees: the painted page, not what the canvas says about itself. */
async function seen(...points: [number, number][]): Promise<Rgb[]> {
  const png = (await page.locator('canvas').screenshot()).toString('base64');
  return page.evaluate(
    async ([png, points]) => {
      const image = new Image();
      image.src = `data:image/png;base64,${png}`;
      await image.decode();
      const context = new OffscreenCanvas(image.width, image.height).getContext('2d')!;
      context.drawImage(image, 0, 0);
      return points.map(([x, y]) => [...context.getImageData(x, y, 1, 1).data].slice(0, 3) as Rgb);
    },
    [png, points] as const,
  );
}

const quarters = () => seen([32, 24], [96, 24], [32, 72]);

async function seenNumber(): Promise<number> {
  const cells = await seen([72, 72], [88, 72], [104, 72], [120, 72]);
  return cells.reduce((number, [, green], bit) => number + (green > 128 ? 1 << bit : 0), 0);
}

function expectColours(colours: Rgb[], wanted: readonly (readonly number[])[], tolerance: number) {
  for (const [at, colour] of colours.entries()) {
    const apart = colour.map((part, channel) => Math.abs(part - wanted[at]![channel]!));
    expect(Math.max(...apart), `${colour.join(' ')} for ${wanted[at]!.join(' ')}`).toBeLessThanOrEqual(
      tolerance,
    );
  }
}

const shownNumbers = (connection: Connection) => connection.of('shown').map(({ picture }) => picture);

describe('encoded pictures in a browser', () => {
  it('are each decoded, painted and reported', async () => {
    const connection = await open();
    expect(connection.said[0]).toMatchObject({ stream: 'remote', accepts: 'h264' });
    for (let number = 0; number < 10; number++) {
      connection.send(encoded(number));
      await connection.until(() => shownNumbers(connection).includes(number));
      expect(await seenNumber()).toBe(number);
    }
    expect(connection.credit).toBe(3 + 10);
    expect(connection.of('keyframe')).toEqual([]);
    expect(await page.evaluate('[states, fallbacks]')).toEqual([[true], 0]);
  });

  it('have the colours of the matrix that the message names, also when it changes at a key frame', async () => {
    const connection = await open();
    for (const [number, colour] of [
      [0, BT601],
      [5, BT709],
      [10, BT601],
    ] as const) {
      connection.send(encoded(number, colour));
      await connection.until(() => shownNumbers(connection).includes(number));
      // The encoder is lossy, and a browser may round differently than the definition.
      expectColours(await quarters(), COLOURS[colour.matrix], 10);
    }
  });

  it('never wait in a queue: of a burst the newest is seen, and all credit comes back', async () => {
    const connection = await open();
    for (const number of [0, 1, 2]) connection.send(encoded(number));
    await connection.until(() => connection.credit === 3 + 3);
    expect(shownNumbers(connection).at(-1)).toBe(2);
    expect(await seenNumber()).toBe(2);
  });

  it('that begin in the middle make the page ask once for a key frame', async () => {
    const connection = await open();
    for (const number of [2, 3, 4]) connection.send(encoded(number));
    await connection.until(() => connection.credit === 3 + 3);
    expect(connection.of('keyframe')).toHaveLength(1);
    expect(shownNumbers(connection)).toEqual([]);
    connection.send(encoded(5));
    await connection.until(() => shownNumbers(connection).includes(5));
    expect(await seenNumber()).toBe(5);
  });

  it('that are damaged make it ask for a key frame, and it goes on with that', async () => {
    const connection = await open();
    connection.send(encoded(0));
    await connection.until(() => shownNumbers(connection).includes(0));
    connection.send({ ...encoded(5), payload: new Uint8Array([0, 0, 0, 1, 0x65, 0xff, 0xff, 0xff]) });
    await connection.until(() => connection.of('keyframe').length === 1);
    connection.send(encoded(10));
    await connection.until(() => shownNumbers(connection).includes(10));
    expect(await seenNumber()).toBe(0);
    expect(connection.credit).toBe(3 + 3);
  });

  it('that can’t be decoded again and again are exchanged for decoded ones', async () => {
    const connection = await open();
    for (let failures = 1; connection.of('accepts').length === 0; failures++) {
      connection.send({ ...encoded(0), number: failures, payload: new Uint8Array([0, 0, 0, 1, 0x65, 0xff]) });
      await connection.until(() => connection.credit === 3 + failures);
      await connection.until(
        () => connection.of('keyframe').length + connection.of('accepts').length === failures,
      );
    }
    expect(connection.of('accepts')).toEqual([{ type: 'accepts', format: 'i420' }]);
    expect(await page.evaluate('fallbacks')).toBe(1);
    connection.send(raw(20, BT601));
    await connection.until(() => shownNumbers(connection).includes(20));
    expectColours(await quarters(), COLOURS.bt601, 3);
  });
});

describe('decoded pictures in a browser', () => {
  const withoutDecoder = 'delete globalThis.VideoDecoder;';
  const withoutWebGl = `
    const real = HTMLCanvasElement.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
      return kind.startsWith('webgl') ? null : real.call(this, kind, ...rest);
    };`;
  const contextOf = (kind: string) =>
    page.evaluate((kind) => document.querySelector('canvas')!.getContext(kind) !== null, kind);

  const withoutFrames = `${withoutDecoder} delete globalThis.VideoFrame;`;
  const refusedFrames = `${withoutDecoder} globalThis.VideoFrame = class { constructor() { throw new Error(); } };`;

  it.each([
    ['frames', '2d', withoutDecoder],
    ['pixels where frames are refused', '2d', refusedFrames],
    ['WebGL where there are no frames', 'webgl', withoutFrames],
    ['pixels where there is neither', '2d', withoutFrames + withoutWebGl],
  ])('are asked for and painted with %s where there is no decoder', async (_, kind, before) => {
    const connection = await open(before);
    expect(connection.said[0]).toMatchObject({ accepts: 'i420' });
    for (const [number, colour] of [
      [1, BT601],
      [2, BT709],
    ] as const) {
      connection.send(raw(number, colour));
      await connection.until(() => shownNumbers(connection).includes(number));
      expectColours(await quarters(), COLOURS[colour.matrix], 3);
    }
    expect(await contextOf(kind)).toBe(true);
    expect(await page.evaluate('fallbacks')).toBe(1);
  });

  it('may come in between encoded ones', async () => {
    const connection = await open();
    connection.send(encoded(0));
    await connection.until(() => shownNumbers(connection).includes(0));
    connection.send(raw(1, BT709));
    await connection.until(() => shownNumbers(connection).includes(1));
    expectColours(await quarters(), COLOURS.bt709, 3);
    connection.send(encoded(5));
    await connection.until(() => shownNumbers(connection).includes(5));
    expect(await seenNumber()).toBe(5);
    expect(await page.locator('canvas').count()).toBe(1);
  });
});

it('a player says in which size it draws, and when nobody can see it', async () => {
  const connection = await open();
  const become = (style: string) =>
    page.evaluate((style) => (document.getElementById('host')!.style.cssText = style), style);
  const until = (width: number, height: number) =>
    connection.until(() => {
      const size = connection.of('size').at(-1);
      return size?.width === width && size.height === height;
    });
  await become('width: 300px; height: 170px');
  await until(304, 176);
  await become('display: none');
  await until(0, 0);
  await become('width: 128px; height: 96px');
  await until(128, 96);
  await become('width: 128px; height: 96px; position: absolute; top: 1000px');
  await until(0, 0);
});

it('a player that is closed leaves no canvas and no connection', async () => {
  const connection = await open();
  connection.send(encoded(0));
  await connection.until(() => shownNumbers(connection).includes(0));
  const closed = connection.closed();
  await page.evaluate('player.close()');
  await closed;
  expect(await page.locator('canvas').count()).toBe(0);
});
