import type { Session } from './session';

/** Credentials are asked for anew when this share of their time is over. */
const SHARE = 0.7;
const LEAST_MS = 10_000;

/** STUN and TURN servers, whose credentials are good for minutes: asked for again and again. */
export class Servers {
  readonly #session: Pick<Session, 'ask'>;
  readonly #onServers: (servers: RTCIceServer[]) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(session: Pick<Session, 'ask'>, onServers: (servers: RTCIceServer[]) => void) {
    this.#session = session;
    this.#onServers = onServers;
  }

  /** A session has begun. */
  begin() {
    clearTimeout(this.#timer);
    void this.#ask();
  }

  end() {
    clearTimeout(this.#timer);
  }

  async #ask() {
    let wait = LEAST_MS;
    try {
      const { body } = await this.#session.ask({ type: 'ice_servers' });
      if (body.type === 'ice_servers') {
        this.#onServers(body.servers);
        wait = Math.max(LEAST_MS, body.expires_in_s * 1_000 * SHARE);
      }
    } catch {
      // An older server knows of none, and a session that is over begins anew.
    }
    this.#timer = setTimeout(() => void this.#ask(), wait);
  }
}
