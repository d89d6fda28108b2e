// @vitest-environment node
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type * as Ws from 'ws';

import type { ServerEnvelope } from '../src/backend/protocol';
import { readInvite } from '../src/guest/backend';
import { readControl } from '../src/guest/control';
import { Figures } from '../src/guest/figures';
import { generationOf, repeatsFirst } from '../src/guest/leg';
import { Room, type RoomListener } from '../src/guest/room';
import { Servers } from '../src/guest/servers';
import { Session } from '../src/guest/session';
import { Refused, Tokens } from '../src/guest/tokens';
import { WebSocket, WebSocketServer } from './media-server';

const ROOM = 'r_2a5cy4tqkfe20s58xmrqbefy04';

describe('an invite link', () => {
  it('has the room in its path and the secret in its fragment', () => {
    const link = { pathname: `/join/${ROOM}`, hash: '#eyJhbGciOi.J' };
    expect(readInvite(link)).toEqual({ room: ROOM, token: 'eyJhbGciOi.J' });
    const pinned = { ...link, hash: `${link.hash}&pin=kW9QFwVQ9tAyXrEdO2YtQ3Hk4GxGJXbqYpQjmZbVw9c` };
    expect(readInvite(pinned)).toEqual({ room: ROOM, token: 'eyJhbGciOi.J' });
  });

  it.each([
    ['', '#eyJhbGciOi.J'],
    [`/join/${ROOM}`, ''],
    [`/join/${ROOM}`, '#short'],
    [`/join/${ROOM}x`, '#eyJhbGciOi.J'],
    [`/join/u_2a5cy4tqkfe20s58xmrqbefy04`, '#eyJhbGciOi.J'],
    [`/join/${ROOM}`, `#${'x'.repeat(2049)}`],
    [`/join/${ROOM}`, '#with space in it'],
  ])('that is not whole is none: %s%s', (pathname, hash) => {
    expect(readInvite({ pathname, hash })).toBeNull();
  });
});

describe('the other side of a call', () => {
  const video = ['m=video 9 UDP/TLS/RTP/SAVPF 63 102', 'a=rtpmap:102 H264/90000'];
  const audio = ['a=rtpmap:111 opus/48000/2', 'a=rtpmap:63 red/48000/2', 'a=fmtp:63 111/111'];

  it('is sent sound that repeats itself, where it knows how', () => {
    const sdp = ['v=0', 'm=audio 9 UDP/TLS/RTP/SAVPF 111 63', ...audio, ...video, ''].join('\r\n');
    const first = sdp.replace('SAVPF 111 63', 'SAVPF 63 111');
    expect(repeatsFirst(sdp)).toBe(first);
    expect(repeatsFirst(first)).toBe(first);
  });

  it('is sent plain sound otherwise', () => {
    const sdp = ['v=0', 'm=audio 9 UDP/TLS/RTP/SAVPF 111', audio[0], ...video, ''].join('\r\n');
    expect(repeatsFirst(sdp)).toBe(sdp);
  });
});

describe('what the other side says directly', () => {
  it('is understood in the form that the program writes', () => {
    expect(readControl('{"type":"hang_up"}')).toEqual({ type: 'hang_up' });
    expect(readControl('{"type":"hold","on":true}')).toEqual({ type: 'hold', on: true });
    const media = { type: 'media', media: { microphone: true, camera: false } };
    expect(readControl(JSON.stringify(media))).toEqual(media);
    const view = { type: 'view', view: { width: 1280, height: 720 } };
    expect(readControl(JSON.stringify(view))).toEqual(view);
    expect(readControl('{"type":"view","view":null}')).toEqual({ type: 'view', view: null });
  });

  it('tells that pictures are paused, and that they are not where it says nothing', () => {
    const said = (paused: string) =>
      readControl(`{"type":"media","media":{"microphone":true,"camera":true${paused}}}`);
    expect(said(',"paused":true')).toMatchObject({ media: { camera: true, paused: true } });
    expect(said(',"paused":false')).toMatchObject({ media: { paused: false } });
    expect(said('')).toEqual({ type: 'media', media: { microphone: true, camera: true } });
  });

  it.each([
    '',
    '{',
    '[]',
    'null',
    '{"type":"dance"}',
    '{"type":"hold"}',
    '{"type":"media","media":{"camera":1}}',
    '{"type":"media","media":{"microphone":true,"camera":true,"paused":1}}',
    '{"type":"view"}',
    '{"type":"view","view":{"width":1280}}',
    '{"type":"view","view":{"width":0,"height":720}}',
    '{"type":"view","view":{"width":1280,"height":16385}}',
    '{"type":"view","view":{"width":1280.5,"height":720}}',
    '{"type":"signal"}',
    ' '.repeat(64 * 1024 + 1),
  ])('is ignored where it makes no sense', (text) => {
    expect(readControl(text)).toBeUndefined();
  });

  it('is text', () => {
    expect(readControl(new ArrayBuffer(8))).toBeUndefined();
  });
});

describe('the figures of what a guest sends', () => {
  const pair = {
    type: 'candidate-pair',
    nominated: true,
    state: 'succeeded',
    availableOutgoingBitrate: 900_000,
    currentRoundTripTime: 0.074,
  };
  const picture = {
    type: 'outbound-rtp',
    kind: 'video',
    mediaSourceId: 'camera',
    frameWidth: 960,
    frameHeight: 540,
    framesPerSecond: 30,
    qualityLimitationReason: 'bandwidth',
  };
  const report = (...entries: object[]) =>
    new Map(entries.map((entry, at) => [String(at), entry])) as unknown as RTCStatsReport;
  const sending = (...entries: object[]) => new Figures().next(report(...entries)).sending;

  beforeEach(() => vi.useFakeTimers({ toFake: ['performance'] }));
  afterEach(() => vi.useRealTimers());

  it('are none before there is a connection', () => {
    expect(sending(picture)).toBeNull();
  });

  it('are those of the browser', () => {
    const figures = new Figures();
    const sound = { type: 'outbound-rtp', kind: 'audio', mediaSourceId: 'microphone' };
    const lost = { type: 'remote-inbound-rtp', kind: 'video', fractionLost: 0.05 };
    const at = (bytesSent: number, headerBytesSent: number) =>
      report(pair, { ...sound, bytesSent: 4000 }, { ...picture, bytesSent, headerBytesSent }, lost);
    figures.next(at(0, 0));
    vi.advanceTimersByTime(500);
    const { sending } = figures.next(at(37_500, 2500));
    expect(sending).toMatchObject({
      target_kbps: 900,
      sent_kbps: 640,
      acknowledged_kbps: 608,
      loss_percent: 5,
      round_trip_ms: 74,
      reason: 'balance',
      picture: { width: 960, height: 540, fps: 30, bitrate_kbps: 600 },
    });
  });

  it.each([
    ['none', 'full'],
    ['bandwidth', 'network'],
    ['cpu', 'processor'],
    ['other', null],
  ])('name what limits the pictures: %s', (qualityLimitationReason, cause) => {
    expect(sending(pair, { ...picture, qualityLimitationReason })?.limited_by).toBe(cause);
  });

  it('have no picture where none is sent, and nothing that limits a camera which is off', () => {
    const still = { ...picture, framesPerSecond: 0 };
    expect(sending(pair, still)).toMatchObject({ picture: null, limited_by: 'network' });
    const off = { ...still, mediaSourceId: undefined };
    expect(sending(pair, off)).toMatchObject({ picture: null, limited_by: null });
    const unseen = { ...still, active: false };
    expect(sending(pair, unseen)).toMatchObject({ picture: null, limited_by: 'viewer' });
  });
});

it('the ICE generation of a description is its username fragment', () => {
  expect(generationOf('v=0\r\na=ice-ufrag:F7gI\r\na=ice-pwd:x\r\n')).toBe('F7gI');
  expect(generationOf('v=0\r\n')).toBeUndefined();
});

/** A server that says what a test wants it to. */
class Server {
  readonly heard: Record<string, unknown>[] = [];
  #server!: Ws.WebSocketServer;
  #connections: Ws.WebSocket[] = [];
  #waiting: (() => void)[] = [];
  #taken = 0;

  static async start(): Promise<Server> {
    const server = new Server();
    server.#server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    server.#server.on('connection', (connection) => {
      server.#connections.push(connection);
      connection.on('message', (data) => {
        server.heard.push(JSON.parse(String(data)) as Record<string, unknown>);
        server.#waiting.splice(0).forEach((wake) => wake());
      });
    });
    await new Promise((listening) => server.#server.once('listening', listening));
    return server;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as { port: number }).port}/`;
  }

  /** The next message. */
  async next(): Promise<Record<string, never> & { body: Record<string, unknown>; id?: number }> {
    while (this.heard.length <= this.#taken) await new Promise<void>((wake) => this.#waiting.push(wake));
    return this.heard[this.#taken++] as never;
  }

  say(envelope: Omit<ServerEnvelope, 'v'>) {
    this.#connections.at(-1)?.send(JSON.stringify({ v: 1, ...envelope }));
  }

  welcome() {
    const body = {
      type: 'welcome' as const,
      session: 's_1',
      resume_token: 'resume-1',
      resume_window_s: 300,
      heartbeat_s: 20,
      token_expires_in_s: 600,
      user: 'u_1',
      device: 'd_1',
      name: 'Charles',
      server: 'test',
      calls: [],
    };
    this.say({ body });
  }

  drop(code: number) {
    this.#connections.at(-1)?.close(code);
  }

  stop() {
    this.#connections.forEach((connection) => connection.terminate());
    this.#server.close();
  }
}

describe('a guest’s session', () => {
  let server: Server;
  let session: Session | undefined;
  const told: string[] = [];
  let refreshed = 0;

  async function begin(more: Partial<ConstructorParameters<typeof Session>[0]> = {}): Promise<Session> {
    const tokens = await Tokens.redeem('eyJhbGciOi.J', 'Charles');
    session = new Session({
      url: server.url,
      tokens,
      version: '1',
      onBegan: () => told.push('began'),
      onResumed: () => told.push('resumed'),
      onNews: ({ body }) => told.push(body.type),
      onLink: (online) => told.push(online ? 'online' : 'offline'),
      onEnded: (why) => told.push(why),
      ...more,
    });
    return session;
  }

  const until = (what: string) => vi.waitFor(() => expect(told).toContain(what), { timeout: 10_000 });

  beforeEach(async () => {
    told.length = refreshed = 0;
    server = await Server.start();
    // Node.js 20 has none of its own.
    vi.stubGlobal('WebSocket', WebSocket);
    vi.stubGlobal('fetch', (path: string) => {
      if (path.endsWith('/refresh')) refreshed += 1;
      const grant = {
        access_token: `token-${refreshed}`,
        expires_in_s: 600,
        refresh_token: 'refresh',
        user: 'u_1',
        name: 'Charles',
      };
      return Promise.resolve(new Response(JSON.stringify(grant)));
    });
  });

  afterEach(() => {
    server.stop();
    void session?.end();
    vi.unstubAllGlobals();
  });

  it('says who one is, and gets answers by their numbers', async () => {
    const begun = await begin();
    expect((await server.next()).body).toMatchObject({ type: 'hello', token: 'token-0' });
    server.welcome();
    await until('began');
    const [one, two] = [begun.ask({ type: 'join' }, ROOM), begun.ask({ type: 'leave' }, ROOM)];
    expect(await server.next()).toMatchObject({ id: 1, room: ROOM, body: { type: 'join' } });
    expect(await server.next()).toMatchObject({ id: 2, body: { type: 'leave' } });
    server.say({ re: 2, seq: 1, body: { type: 'done' } });
    server.say({ re: 1, seq: 2, body: { type: 'error', code: 'room_full', message: 'Full.' } });
    expect((await two).body.type).toBe('done');
    await expect(one).rejects.toBeInstanceOf(Refused);
  });

  it('goes on after a lost connection, says again what was not heard, and hears nothing twice', async () => {
    const begun = await begin();
    await server.next();
    server.welcome();
    await until('began');
    server.say({ seq: 1, body: { type: 'mute_requested', by: 'p_1' } });
    await until('mute_requested');
    const [heard, lost] = [begun.ask({ type: 'leave' }, ROOM), begun.ask({ type: 'chat', text: 'hi' }, ROOM)];
    await server.next();
    await server.next();
    server.drop(4001);
    expect((await server.next()).body).toEqual({
      type: 'resume',
      session: 's_1',
      resume_token: 'resume-1',
      seq: 1,
    });
    server.say({
      body: { type: 'resumed', resume_token: 'resume-2', token_expires_in_s: 500, last_request: 1 },
    });
    server.say({ seq: 1, body: { type: 'mute_requested', by: 'p_1' } });
    expect(await server.next()).toMatchObject({ id: 2, body: { type: 'chat', text: 'hi' } });
    server.say({ re: 1, seq: 2, body: { type: 'done' } });
    server.say({ re: 2, seq: 3, body: { type: 'done' } });
    await Promise.all([heard, lost]);
    expect(told.filter((what) => what === 'mute_requested')).toHaveLength(1);
    expect(told).toContain('resumed');
  });

  it('begins anew where there is nothing to go on with, with a token that opened nothing yet', async () => {
    const begun = await begin();
    await server.next();
    server.welcome();
    await until('began');
    const lost = begun.ask({ type: 'join' }, ROOM);
    await server.next();
    server.drop(4003);
    await expect(lost).rejects.toThrow('the session is over');
    expect((await server.next()).body).toMatchObject({ type: 'hello', token: 'token-1' });
    expect(refreshed).toBe(1);
  });

  it('is over where the server says that nothing else helps', async () => {
    await begin();
    await server.next();
    server.welcome();
    await until('began');
    server.drop(4101);
    await until('signed_out');
  });

  it('follows a room, and asks for what it has missed', async () => {
    const people: string[] = [];
    let room: Room | undefined;
    const nothing = () => undefined;
    const listener: RoomListener = {
      onWaiting: nothing,
      onEntered: (me) => people.push(`me ${me}`),
      onPeople: () => people.push(room!.others.map(({ name }) => name).join('+')),
      onChat: nothing,
      onMuteRequested: nothing,
      onSignal: nothing,
      onLeft: nothing,
    };
    const begun = await begin({ onNews: (envelope) => room?.take(envelope) });
    room = new Room(begun, ROOM, listener);
    await server.next();
    server.welcome();
    await vi.waitFor(() => expect(told).toContain('began'));
    void room.join();
    const person = (id: string, name: string) => ({
      id,
      user: `u_${id}`,
      name,
      role: 'member' as const,
      link: 'online' as const,
    });
    const roster = (...names: string[]) => [
      person('p_me', 'Me'),
      ...names.map((name) => person(`p_${name}`, name)),
    ];
    const { id } = await server.next();
    const snapshot = {
      name: 'Bridge',
      settings: { capacity: 2, waiting_room: false, locked: false },
      participants: roster(),
      states: [],
      chat: [],
    };
    server.say({
      re: id,
      seq: 1,
      room: ROOM,
      pos: { epoch: 'e', offset: 4 },
      body: { type: 'joined', participant: 'p_me', role: 'guest', recovered: false, snapshot },
    });
    const delta = (offset: number, ...names: string[]) =>
      server.say({
        room: ROOM,
        pos: { epoch: 'e', offset },
        body: { type: 'delta', delta: { kind: 'roster', participants: roster(...names) } },
      });
    delta(5, 'Ada');
    delta(5, 'told twice');
    await vi.waitFor(() => expect(people).toContain('Ada'));
    delta(7, 'after a gap');
    const asked = await server.next();
    expect(asked.body).toEqual({ type: 'sync', since: { epoch: 'e', offset: 5 } });
    server.say({
      re: asked.id,
      seq: 2,
      room: ROOM,
      pos: { epoch: 'e', offset: 7 },
      body: {
        type: 'joined',
        participant: 'p_me',
        role: 'guest',
        recovered: true,
        missed: [
          { offset: 6, delta: { kind: 'roster', participants: roster('Ada', 'Grace') } },
          { offset: 7, delta: { kind: 'roster', participants: roster('Grace') } },
        ],
      },
    });
    await vi.waitFor(() => expect(people.at(-1)).toBe('me p_me'));
    expect(people).toEqual(['', 'me p_me', 'Ada', 'Ada+Grace', 'Grace', 'me p_me']);
    expect(room.name).toBe('Bridge');
  });
});

describe('servers that help to connect', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it('are asked for again before their credentials expire, and when a session begins', async () => {
    let asked = 0;
    const told: RTCIceServer[][] = [];
    const answer = {
      type: 'ice_servers',
      servers: [{ urls: ['stun:a.example'] }],
      expires_in_s: 300,
    } as const;
    const ask = () => {
      asked += 1;
      return Promise.resolve({ v: 1, body: answer } as unknown as ServerEnvelope);
    };
    const servers = new Servers({ ask }, (known) => told.push(known));
    servers.begin();
    await vi.advanceTimersByTimeAsync(209_000);
    expect([asked, told]).toEqual([1, [[{ urls: ['stun:a.example'] }]]]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(asked).toBe(2);
    servers.begin();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(asked).toBe(3);
    servers.end();
    await vi.advanceTimersByTimeAsync(1_000_000);
    expect(asked).toBe(3);
  });

  it('are asked for again soon where there was no answer', async () => {
    let asked = 0;
    const ask = () => {
      asked += 1;
      return Promise.reject(new Error('the session is over'));
    };
    const servers = new Servers({ ask }, () => undefined);
    servers.begin();
    await vi.advanceTimersByTimeAsync(10_500);
    expect(asked).toBe(2);
    servers.end();
  });
});
