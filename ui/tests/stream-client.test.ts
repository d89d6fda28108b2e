// @vitest-environment node
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { StreamClient, type ClientOptions } from '../src/video/client';
import type { Picture } from '../src/video/protocol';
import { MediaServer, WebSocket, type OutgoingPicture } from './media-server';

// Node 20 has none of its own.
vi.stubGlobal('WebSocket', WebSocket);

let server: MediaServer;
let client: StreamClient | undefined;

beforeEach(async () => {
  server = await MediaServer.start();
});

afterEach(async () => {
  client?.close();
  await server.stop();
});

function connect(options: Partial<ClientOptions>) {
  client = new StreamClient({
    access: () => Promise.resolve(server.access()),
    stream: 'remote',
    accepts: 'h264',
    onPicture: () => undefined,
    ...options,
  });
  return client;
}

const picture = (number: number): OutgoingPicture => ({
  format: 'h264',
  keyFrame: true,
  width: 16,
  height: 16,
  number,
  payload: new Uint8Array([1, 2, 3]),
});

describe('the media socket', () => {
  it('first says who the page is, then grants three pictures', async () => {
    connect({ stream: 'local', accepts: 'i420' });
    const connection = await server.connection();
    await connection.until(() => connection.said.length === 2);
    expect(connection.said).toEqual([
      { token: 'token-1', stream: 'local', accepts: 'i420' },
      { type: 'credit', pictures: 3 },
    ]);
  });

  it('grants one more picture for each that was shown or dropped, and for no other', async () => {
    const received: Picture[] = [];
    connect({
      onPicture: (picture) => {
        received.push(picture);
        if (picture.number === 7) client?.drawn(picture.number);
        if (picture.number === 8) client?.dropped();
        if (picture.number === 9) client?.wantKeyFrame();
      },
    });
    const connection = await server.connection();
    for (const number of [7, 8, 9]) connection.send(picture(number));
    await connection.until(() => connection.of('keyframe').length === 1);
    expect(received.map(({ number }) => number)).toEqual([7, 8, 9]);
    expect(connection.of('shown')).toEqual([{ type: 'shown', picture: 7 }]);
    expect(connection.credit).toBe(3 + 2);
  });

  it('gives the credit back for a message that is no picture, and goes on', async () => {
    const received: number[] = [];
    connect({ onPicture: ({ number }) => void received.push(number) });
    const connection = await server.connection();
    connection.sendRaw(new Uint8Array([9, 9, 9]));
    connection.send(picture(1));
    await connection.until(() => connection.credit === 4);
    client!.wantKeyFrame();
    await connection.until(() => connection.of('keyframe').length === 1);
    expect(received).toEqual([1]);
  });

  it('connects again with another token when the connection breaks, and in the format it came to', async () => {
    const lost: number[] = [];
    connect({ onLost: (code) => void lost.push(code) });
    const first = await server.connection();
    await first.until(() => first.credit === 3);
    client!.accept('i420');
    await first.until(() => first.of('accepts').length === 1);
    first.close(1011);
    const second = await server.connection();
    await second.until(() => second.credit === 3);
    expect(second.of(undefined)).toEqual([{ token: 'token-2', stream: 'remote', accepts: 'i420' }]);
    expect(lost).toEqual([1011]);
  });

  it('says in which area pictures are drawn, as soon as it can and over each connection', async () => {
    connect({}).drawIn({ width: 640, height: 368 });
    const first = await server.connection();
    await first.until(() => first.of('size').length === 1);
    expect(first.said[0]).toMatchObject({ token: 'token-1' });
    client!.drawIn({ width: 0, height: 0 });
    await first.until(() => first.of('size').length === 2);
    first.close(1011);
    const second = await server.connection();
    await second.until(() => second.of('size').length === 1);
    expect(first.of('size')[0]).toEqual({ type: 'size', width: 640, height: 368 });
    expect(second.of('size')).toEqual([{ type: 'size', width: 0, height: 0 }]);
  });

  it('waits for the next stream as soon as one has ended', async () => {
    const waits = vi.spyOn(globalThis, 'setTimeout');
    connect({});
    const first = await server.connection();
    await first.until(() => first.credit === 3);
    waits.mockClear();
    first.close(4404);
    const second = await server.connection();
    await second.until(() => second.credit === 3);
    // The WebSocket library waits up to 30 s for the other side to close.
    const own = waits.mock.calls.filter(([, ms]) => ms !== undefined && ms >= 250 && ms <= 4000);
    waits.mockRestore();
    expect(own).toEqual([]);
  });

  it('asks again for access where the program refused it at first', async () => {
    let asked = 0;
    connect({
      access: () => (++asked === 1 ? Promise.reject(new Error('busy')) : Promise.resolve(server.access())),
    });
    const connection = await server.connection();
    await connection.until(() => connection.credit === 3);
    expect(asked).toBe(2);
  });

  it('hands over nothing after it was closed', async () => {
    const received: number[] = [];
    connect({ onPicture: ({ number }) => void received.push(number) });
    const connection = await server.connection();
    await connection.until(() => connection.credit === 3);
    client!.close();
    connection.send(picture(1));
    // A later connection of the same page shows that the earlier messages have been handled.
    connect({ onPicture: ({ number }) => void received.push(number) });
    const later = await server.connection();
    later.send(picture(2));
    await later.until(() => later.credit === 3);
    client!.wantKeyFrame();
    await later.until(() => later.of('keyframe').length === 1);
    expect(received).toEqual([2]);
  });
});
