import type {
  ClientEnvelope,
  ClientMessage,
  ServerEnvelope,
  ServerMessage,
  Welcome,
} from '../backend/protocol';
import { Refused, Unreachable, type Tokens } from './tokens';

/** From here on connecting again changes nothing (docs/signaling.md, closing). */
const TERMINAL = 4100;
/** What was said no longer counts: a new session is needed. */
const HELLO_AGAIN: readonly number[] = [4003, 4005];
const LONGEST_WAIT_MS = 15_000;
const PATIENCE_MS = 5 * 60_000;

type News = (envelope: ServerEnvelope) => void;

export interface SessionOptions {
  url: string;
  tokens: Tokens;
  version: string;
  /** A session has begun: the first, or one in place of a lost one. Nothing of the one before counts any more. */
  onBegan: () => void;
  /** The session goes on. */
  onResumed: () => void;
  onNews: News;
  /** Whether there is a connection. */
  onLink: (online: boolean) => void;
  /** It is over for good. */
  onEnded: (why: 'left' | 'signed_out' | 'gave_up' | 'failed') => void;
}

interface Outstanding {
  envelope: ClientEnvelope;
  settle: (answer: ServerEnvelope | Error) => void;
}

/**
 * One session with the server, over as many connections as it takes: requests are numbered and said again until they are
 * answered, and what the server tells is acknowledged (docs/signaling.md, sessions).
 */
export class Session {
  readonly #options: SessionOptions;
  #socket: WebSocket | undefined;
  #session: { id: string; token: string; heartbeatMs: number } | undefined;
  #seq = 0;
  #requests = 0;
  readonly #outstanding = new Map<number, Outstanding>();
  #attempts = 0;
  #lostAt = 0;
  #ended = false;
  #heard = 0;
  #timers: ReturnType<typeof setTimeout>[] = [];

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#lostAt = performance.now();
    void this.#connect();
  }

  /** Asks, and waits for the answer as long as the session lasts. Rejects with `Refused` where the server does not do it. */
  ask(body: ClientMessage, room?: string): Promise<ServerEnvelope> {
    return new Promise((resolve, reject) => {
      if (!this.#session) return reject(new Unreachable('there is no session'));
      const id = ++this.#requests;
      const envelope: ClientEnvelope = { v: 1, id, body, ...(room === undefined ? {} : { room }) };
      const settle = (answer: ServerEnvelope | Error) => {
        this.#outstanding.delete(id);
        if (answer instanceof Error) reject(answer);
        else if (answer.body.type === 'error') reject(new Refused(answer.body));
        else resolve(answer);
      };
      this.#outstanding.set(id, { envelope, settle });
      this.#send(envelope);
    });
  }

  /** Ends it in good order. */
  async end(): Promise<void> {
    if (this.#ended) return;
    const asked = this.#socket?.readyState === WebSocket.OPEN ? this.ask({ type: 'bye' }) : undefined;
    this.#ended = true;
    await Promise.race([asked?.catch(() => undefined), new Promise((done) => setTimeout(done, 1_000))]);
    this.#stop('left');
  }

  /** Tries now. */
  retry() {
    this.#lostAt = performance.now();
    this.#attempts = 0;
    if (!this.#socket && !this.#ended) {
      this.#clearTimers();
      void this.#connect();
    }
  }

  #send(envelope: ClientEnvelope) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify({ ...envelope, ack: this.#seq }));
  }

  async #connect() {
    let first: ClientMessage;
    try {
      first = this.#session
        ? { type: 'resume', session: this.#session.id, resume_token: this.#session.token, seq: this.#seq }
        : {
            type: 'hello',
            token: await this.#options.tokens.fresh(),
            client: { name: 'ahoy-guest', version: this.#options.version },
          };
    } catch (error) {
      return error instanceof Refused ? this.#stop('signed_out') : this.#again();
    }
    if (this.#ended) return;
    const socket = (this.#socket = new WebSocket(this.#options.url));
    socket.onopen = () => socket.send(JSON.stringify({ v: 1, body: first }));
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#take(JSON.parse(String(data)) as ServerEnvelope);
    };
    socket.onclose = ({ code }) => {
      if (socket === this.#socket) this.#lost(code);
    };
  }

  #take(envelope: ServerEnvelope) {
    this.#heard = performance.now();
    const { body, re, seq } = envelope;
    if (body.type === 'welcome') return this.#begin(body);
    if (body.type === 'resumed') return this.#resume(body);
    // The answer to what opens a connection has no number.
    if (body.type === 'error' && re === undefined) {
      if (body.code === 'session_gone') this.#forget();
      return;
    }
    if (seq !== undefined) {
      if (seq <= this.#seq) return;
      this.#seq = seq;
    }
    if (re !== undefined) this.#outstanding.get(re)?.settle(envelope);
    if (re === undefined || body.type === 'joined') this.#options.onNews(envelope);
  }

  #begin(welcome: Welcome) {
    this.#forget();
    this.#session = {
      id: welcome.session,
      token: welcome.resume_token,
      heartbeatMs: welcome.heartbeat_s * 1_000,
    };
    this.#online(welcome.token_expires_in_s);
    this.#options.onBegan();
  }

  #resume(told: Extract<ServerMessage, { type: 'resumed' }>) {
    if (!this.#session) return;
    this.#session.token = told.resume_token;
    this.#online(told.token_expires_in_s);
    for (const [id, { envelope }] of this.#outstanding) {
      if (id > told.last_request) this.#send(envelope);
    }
    this.#options.onResumed();
  }

  #online(tokenExpiresInS: number) {
    this.#attempts = 0;
    this.#clearTimers();
    const heartbeat = this.#session?.heartbeatMs ?? 20_000;
    this.#every(heartbeat, () => {
      if (performance.now() - this.#heard > 2.5 * heartbeat) this.#socket?.close();
      else this.#send({ v: 1, body: { type: 'ping' } });
    });
    this.#renewIn(tokenExpiresInS);
    this.#options.onLink(true);
  }

  #renewIn(seconds: number) {
    this.#later(seconds * 700, async () => {
      try {
        const { expires_in_s } = await this.#options.tokens.refresh();
        await this.ask({ type: 'reauth', token: await this.#options.tokens.fresh() });
        this.#renewIn(expires_in_s);
      } catch (error) {
        if (error instanceof Refused) this.#stop('signed_out');
        else this.#renewIn(15);
      }
    });
  }

  #lost(code: number) {
    this.#socket = undefined;
    if (this.#ended) return;
    if (this.#attempts === 0) this.#lostAt = performance.now();
    if (HELLO_AGAIN.includes(code)) this.#forget();
    if (code >= TERMINAL && code < 5000) return this.#stop(code === 4101 ? 'signed_out' : 'failed');
    this.#options.onLink(false);
    this.#again();
  }

  #again() {
    if (performance.now() - this.#lostAt > PATIENCE_MS) return this.#stop('gave_up');
    const most = Math.min(LONGEST_WAIT_MS, 500 * 2 ** this.#attempts);
    const wait = this.#attempts === 0 ? 0 : most * (0.5 + Math.random() / 2);
    this.#attempts += 1;
    this.#clearTimers();
    this.#later(wait, () => this.#connect());
  }

  /** What was asked of the session is not answered any more. */
  #forget() {
    this.#session = undefined;
    [this.#seq, this.#requests] = [0, 0];
    for (const { settle } of [...this.#outstanding.values()]) settle(new Unreachable('the session is over'));
  }

  #stop(why: 'left' | 'signed_out' | 'gave_up' | 'failed') {
    this.#ended = true;
    this.#clearTimers();
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
    this.#forget();
    this.#options.onEnded(why);
  }

  #later(ms: number, act: () => unknown) {
    this.#timers.push(setTimeout(() => void act(), ms));
  }

  #every(ms: number, act: () => void) {
    this.#later(ms, () => {
      act();
      this.#every(ms, act);
    });
  }

  #clearTimers() {
    for (const timer of this.#timers.splice(0)) clearTimeout(timer);
  }
}
