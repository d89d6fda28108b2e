import type { Access } from '../backend';
import type { Area } from './area';
import {
  accepts,
  CLOSED_ENDED,
  CLOSED_TAKEN_OVER,
  credit,
  FIRST_CREDIT,
  hello,
  keyFrameWanted,
  parsePicture,
  shown,
  size,
  type Format,
  type Picture,
  type Stream,
} from './protocol';

/** The first wait before connecting again; each further one is twice as long. */
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 4000;

export interface ClientOptions {
  /** A fresh address and token: each connection needs its own. */
  access: () => Promise<Access>;
  stream: Stream;
  accepts: Format;
  /** The receiver calls `drawn` or `dropped` exactly once for each picture. */
  onPicture: (picture: Picture) => void;
  /** The connection is gone; unless closed by the window it is made again. */
  onLost?: (code: number) => void;
}

/** One stream of pictures from the program, with a connection that is made again when it breaks. */
export class StreamClient {
  readonly #options: ClientOptions;
  #accepts: Format;
  #area: Area | undefined;
  #socket: WebSocket | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #wait = FIRST_RETRY_MS;
  #closed = false;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#accepts = options.accepts;
    void this.#connect();
  }

  /** A picture is on the screen. */
  drawn(number: number) {
    this.#send(shown(number), credit(1));
  }

  /** A picture will never be on the screen. */
  dropped() {
    this.#send(credit(1));
  }

  wantKeyFrame() {
    this.#send(keyFrameWanted());
  }

  /** Asks for pictures in another format, now and after a lost connection. */
  accept(format: Format) {
    this.#accepts = format;
    this.#send(accepts(format));
  }

  /** Says in which area pictures are drawn, now and after a lost connection: the program asks for none that are larger. */
  drawIn(area: Area) {
    this.#area = area;
    this.#send(size(area));
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#socket?.close();
  }

  async #connect() {
    let access: Access;
    try {
      access = await this.#options.access();
    } catch {
      this.#again();
      return;
    }
    if (this.#closed) return;
    const socket = new WebSocket(access.url);
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      this.#send(hello(access.token, this.#options.stream, this.#accepts), credit(FIRST_CREDIT));
      if (this.#area) this.#send(size(this.#area));
    };
    socket.onmessage = ({ data }) => {
      if (this.#closed || !(data instanceof ArrayBuffer)) return;
      const picture = parsePicture(data);
      if (!picture) {
        this.dropped();
        return;
      }
      this.#wait = FIRST_RETRY_MS;
      this.#options.onPicture(picture);
    };
    socket.onclose = ({ code }) => {
      if (this.#closed) return;
      this.#options.onLost?.(code);
      if (code === CLOSED_ENDED) void this.#connect();
      else this.#again(code === CLOSED_TAKEN_OVER ? LONGEST_RETRY_MS : undefined);
    };
  }

  #again(wait = this.#wait) {
    if (this.#closed) return;
    this.#retry = setTimeout(() => void this.#connect(), wait);
    this.#wait = Math.min(this.#wait * 2, LONGEST_RETRY_MS);
  }

  #send(...messages: string[]) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    for (const message of messages) this.#socket.send(message);
  }
}
