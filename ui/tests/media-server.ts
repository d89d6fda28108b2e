import { once } from 'node:events';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';

import type * as Ws from 'ws';

import type { Colour, Format } from '../src/video/protocol';

// Vitest would take the edition for browsers, which is empty.
export const { WebSocket, WebSocketServer } = createRequire(import.meta.url)(
  '../node_modules/ws/index.js',
) as typeof Ws;

export interface Message {
  type?: string;
  token?: string;
  [field: string]: unknown;
}

export interface OutgoingPicture {
  format: Format;
  keyFrame?: boolean;
  colour?: Colour;
  width: number;
  height: number;
  number: number;
  timestamp?: number;
  payload: Uint8Array;
}

/** One connection of a page, with all that it said. */
export class Connection {
  readonly said: Message[] = [];
  readonly #socket: Ws.WebSocket;
  #changed: (() => void)[] = [];

  constructor(socket: Ws.WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => {
      this.said.push(JSON.parse(String(data)) as Message);
      for (const look of this.#changed.splice(0)) look();
    });
  }

  /** The messages of one type. The first message of a connection has none. */
  of(type: string | undefined): Message[] {
    return this.said.filter((message) => message.type === type);
  }

  /** Pictures the page has asked for in all. */
  get credit(): number {
    return this.of('credit').reduce((sum, { pictures }) => sum + Number(pictures), 0);
  }

  /** Waits until what the page has said fulfils `condition`; the test's own time limit ends it. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((look) => this.#changed.push(look));
  }

  send(picture: OutgoingPicture) {
    const bytes = Buffer.alloc(24 + picture.payload.length);
    const { colour } = picture;
    bytes.writeUInt8(picture.format === 'h264' ? 1 : 2, 0);
    bytes.writeUInt8(
      (picture.keyFrame ? 1 : 0) | (colour?.fullRange ? 2 : 0) | (colour?.matrix === 'bt709' ? 4 : 0),
      1,
    );
    bytes.writeUInt16LE(picture.width, 2);
    bytes.writeUInt16LE(picture.height, 4);
    bytes.writeUInt32LE(picture.number, 8);
    bytes.writeBigUInt64LE(BigInt(picture.timestamp ?? picture.number * 33_333), 16);
    bytes.set(picture.payload, 24);
    this.#socket.send(bytes);
  }

  sendRaw(data: Uint8Array | string) {
    this.#socket.send(data);
  }

  /** When the page has gone. */
  async closed(): Promise<void> {
    await once(this.#socket, 'close');
  }

  close(code: number) {
    this.#socket.close(code);
  }
}

/** The program's side of the media socket, on a real socket. */
export class MediaServer {
  readonly #server: Ws.WebSocketServer;
  readonly #arrived: Connection[] = [];
  #waiting: ((connection: Connection) => void)[] = [];
  #tokens = 0;

  private constructor(server: Ws.WebSocketServer) {
    this.#server = server;
    server.on('connection', (socket) => {
      const connection = new Connection(socket);
      const taker = this.#waiting.shift();
      if (taker) taker(connection);
      else this.#arrived.push(connection);
    });
  }

  static async start(): Promise<MediaServer> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await once(server, 'listening');
    return new MediaServer(server);
  }

  /** What the command `media_access` gives: a token for each connection. */
  access() {
    const { port } = this.#server.address() as AddressInfo;
    return { url: `ws://127.0.0.1:${port}/`, token: `token-${++this.#tokens}` };
  }

  /** The next connection that no one has taken yet. */
  connection(): Promise<Connection> {
    const arrived = this.#arrived.shift();
    if (arrived) return Promise.resolve(arrived);
    return new Promise((take) => this.#waiting.push(take));
  }

  async stop(): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate();
    await new Promise((stopped) => this.#server.close(stopped));
  }
}
