import type { Refusal } from '../backend/protocol';

/** What a guest is given for an invite, and again for each refresh token. */
export interface Grant {
  access_token: string;
  expires_in_s: number;
  refresh_token: string;
  user: string;
  name: string;
  room?: string;
}

/** What the server refuses, with its code. */
export class Refused extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

/** The server did not answer. */
export class Unreachable extends Error {}

async function post(path: string, body: unknown): Promise<Grant> {
  let answer: Response;
  try {
    answer = await fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
    });
  } catch (error) {
    throw new Unreachable(String(error));
  }
  const told: unknown = await answer.json().catch(() => null);
  if (answer.ok) return told as Grant;
  if (told && typeof told === 'object' && 'code' in told) throw new Refused(told as Refusal);
  throw new Unreachable(`${answer.status}`);
}

/** Keeps a guest signed in for as long as the page is open. */
export class Tokens {
  #grant: Grant;
  #used = false;

  private constructor(grant: Grant) {
    this.#grant = grant;
  }

  static async redeem(invite: string, name: string): Promise<Tokens> {
    return new Tokens(await post('/v1/guests', { invite, name }));
  }

  get grant(): Grant {
    return this.#grant;
  }

  /** A token that has opened no connection yet: each opens one. */
  async fresh(): Promise<string> {
    if (this.#used) await this.refresh();
    this.#used = true;
    return this.#grant.access_token;
  }

  async refresh(): Promise<Grant> {
    const { refresh_token } = this.#grant;
    this.#grant = { ...this.#grant, ...(await post('/v1/sessions/refresh', { refresh_token })) };
    this.#used = false;
    return this.#grant;
  }
}
