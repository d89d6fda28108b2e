// @vitest-environment node
import { readFileSync } from 'node:fs';

import { beforeAll, describe, expect, it } from 'vitest';

import type { TransferView } from '../../backend';
import { Engine, type Disk, type FromPage, type ToPage } from './engine';
import { Module } from './module';

const ID = '05'.repeat(16);
let code: Buffer<ArrayBuffer>;

beforeAll(() => {
  code = readFileSync(new URL('../../../wasm/transfer.wasm', import.meta.url));
});

/** Files in memory. */
class Memory implements Disk {
  readonly #parts = new Map<string, Uint8Array[]>();
  space = Infinity;
  readonly abandoned: string[] = [];

  begin = (_id: string, bytes: number) =>
    bytes > this.space ? Promise.reject(new DOMException('full', 'QuotaExceededError')) : Promise.resolve();

  write = (id: string, file: number, start: number, bytes: Uint8Array) => {
    const key = `${id}/${file}`;
    const parts = this.#parts.get(key) ?? [];
    parts[start / 65_536] = bytes;
    this.#parts.set(key, parts);
    return Promise.resolve();
  };

  finish = (id: string, file: number, path: string) =>
    Promise.resolve(new File((this.#parts.get(`${id}/${file}`) ?? []) as BlobPart[], path));

  remove = () => Promise.resolve();

  abandon = (id: string) => Promise.resolve(void this.abandoned.push(id));
}

interface Side {
  engine: Engine;
  disk: Memory;
  views: TransferView[];
  here: Extract<ToPage, { type: 'here' }>[];
  refused: string[];
}

/** Two pages whose channels are this test. */
async function pages(): Promise<[Side, Side]> {
  const sides: Side[] = [];
  for (const index of [0, 1]) {
    const [disk, views, here] = [new Memory(), [] as TransferView[], [] as Side['here']];
    const refused: string[] = [];
    const other = (message: FromPage) => queueMicrotask(() => sides[1 - index]?.engine.hear(message));
    const engine = new Engine(await Module.load(code), disk, (message) => {
      if (message.type === 'say') other({ type: 'said', person: 'other', text: message.text });
      if (message.type === 'send') {
        const { bytes } = message;
        other({ type: 'chunk', person: 'other', bytes });
        queueMicrotask(() =>
          engine.hear({ type: 'sent', person: 'other', bytes: bytes.byteLength, waiting: 0 }),
        );
      }
      if (message.type === 'changed') views.push(message.view);
      if (message.type === 'here') here.push(message);
      if (message.type === 'not_given') refused.push(message.why);
    });
    sides.push({ engine, disk, views, here, refused });
  }
  for (const { engine } of sides) engine.hear({ type: 'connected', person: 'other' });
  return sides as [Side, Side];
}

const content = (length: number) => Uint8Array.from({ length }, (_, n) => (n * 31) % 251);

function give({ engine }: Side) {
  engine.hear({
    type: 'give',
    person: 'other',
    id: ID,
    entries: [
      { name: 'holiday' },
      { name: 'beach.jpg', folder: 0, size: 3_000_000 },
      { name: 'empty.txt', size: 0 },
    ],
    files: [null, new File([content(3_000_000)], 'beach.jpg'), new File([], 'empty.txt')],
  });
}

const last = ({ views }: Side) => views.at(-1);

describe('files of the page for guests', () => {
  it('gives files and folders whole, to whoever takes them', async () => {
    const [gives, takes] = await pages();
    give(gives);
    await expect.poll(() => last(takes)?.stage).toBe('offered');
    expect(last(takes)).toMatchObject({ person: 'other', names: ['holiday', 'empty.txt'], bytes: 3_000_000 });
    takes.engine.hear({ type: 'wish', wish: { do: 'accept', id: ID, files: null } });
    await expect.poll(() => last(takes)?.stage).toBe('ended');
    await expect.poll(() => last(gives)).toMatchObject({ stage: 'ended', done: 2, failed: 0 });
    const beach = takes.here.find(({ path }) => path === 'holiday/beach.jpg');
    const got = new Uint8Array(await beach!.file.arrayBuffer());
    expect(got.length).toBe(3_000_000);
    expect(Buffer.compare(got, content(3_000_000))).toBe(0);
  });

  it('tells both sides where there is no space', async () => {
    const [gives, takes] = await pages();
    takes.disk.space = 1_000;
    give(gives);
    await expect.poll(() => last(takes)?.stage).toBe('offered');
    takes.engine.hear({ type: 'wish', wish: { do: 'accept', id: ID, files: null } });
    await expect.poll(() => last(takes)?.trouble).toBe('no_space');
    await expect.poll(() => last(gives)?.trouble).toBe('no_space');
  });

  it('forgets whoever is gone', async () => {
    const [gives, takes] = await pages();
    give(gives);
    await expect.poll(() => last(takes)?.stage).toBe('offered');
    takes.engine.hear({ type: 'gone', person: 'other' });
    takes.engine.hear({ type: 'wish', wish: { do: 'accept', id: ID, files: null } });
    expect(last(takes)?.stage).toBe('offered');
    await expect.poll(() => takes.disk.abandoned).toEqual([ID]);
    // What comes late of somebody who is gone brings nobody back.
    takes.engine.hear({ type: 'said', person: 'other', text: '{"type":"hello"}' });
  });

  it('says so of what can not be given', async () => {
    const [gives, takes] = await pages();
    const file = new File(['x'], 'up');
    const entries = [
      { name: 'good', size: 1 },
      { name: '../up', size: 1 },
    ];
    gives.engine.hear({ type: 'give', person: 'other', id: ID, entries, files: [file, file] });
    expect(gives.refused).toEqual([expect.stringContaining('entry 1')]);
    expect(last(takes)).toBeUndefined();
  });
});
