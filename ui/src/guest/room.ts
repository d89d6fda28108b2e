import type {
  CallSignal,
  ChatMessage,
  LeaveReason,
  Participant,
  Position,
  RoomDelta,
  RoomSnapshot,
  ServerEnvelope,
  ServerMessage,
} from '../backend/protocol';
import type { Session } from './session';

export interface RoomListener {
  onWaiting: () => void;
  /** One is in the room, for the first time or again: who one is there. */
  onEntered: (me: string) => void;
  /** Somebody has come or gone, or is called something else. */
  onPeople: () => void;
  onChat: () => void;
  onMuteRequested: () => void;
  onSignal: (from: string, connection: number, signal: CallSignal) => void;
  onLeft: (reason: LeaveReason) => void;
}

/** A room as this page knows it: changes are applied in order, and what is missing is asked for. */
export class Room {
  name = '';
  me: string | undefined;
  participants: readonly Participant[] = [];
  chat: readonly ChatMessage[] = [];

  readonly #session: Session;
  readonly #room: string;
  readonly #listener: RoomListener;
  #position: Position | undefined;
  #syncing = false;

  constructor(session: Session, room: string, listener: RoomListener) {
    this.#session = session;
    this.#room = room;
    this.#listener = listener;
  }

  get others(): readonly Participant[] {
    return this.participants.filter(({ id }) => id !== this.me);
  }

  /** Enters, or enters again. */
  async join(): Promise<void> {
    const since = this.#position && { since: this.#position };
    const answer = await this.#session.ask({ type: 'join', ...since }, this.#room);
    if (answer.body.type === 'waiting') this.#listener.onWaiting();
  }

  /** Asks for what was missed. */
  async sync(): Promise<void> {
    if (this.#syncing) return;
    this.#syncing = true;
    try {
      const since = this.#position && { since: this.#position };
      await this.#session.ask({ type: 'sync', ...since }, this.#room);
    } finally {
      this.#syncing = false;
    }
  }

  say(text: string) {
    return this.#session.ask({ type: 'chat', text }, this.#room);
  }

  tellMuted(muted: boolean) {
    return this.#session.ask({ type: 'set_state', entry: { key: 'muted', value: muted } }, this.#room);
  }

  signal(to: string, connection: number, signal: CallSignal) {
    return this.#session.ask({ type: 'room_signal', to, connection, signal }, this.#room);
  }

  take({ body, room, pos }: ServerEnvelope) {
    if (room !== this.#room) return;
    switch (body.type) {
      case 'joined':
        return this.#joined(body, pos);
      case 'snapshot':
        return this.#show(body.snapshot, pos);
      case 'delta':
        return this.#delta(body.delta, pos);
      case 'waiting':
        return this.#listener.onWaiting();
      case 'left':
        this.me = undefined;
        return this.#listener.onLeft(body.reason);
      case 'mute_requested':
        return this.#listener.onMuteRequested();
      case 'room_signal':
        return this.#listener.onSignal(body.from, body.connection, body.signal);
    }
  }

  #joined(joined: Extract<ServerMessage, { type: 'joined' }>, pos: Position | undefined) {
    this.me = joined.participant;
    if (joined.snapshot) this.#show(joined.snapshot, pos);
    for (const { offset, delta } of joined.missed ?? []) {
      if (this.#position && offset === this.#position.offset + 1) {
        this.#position = { ...this.#position, offset };
        this.#apply(delta);
      }
    }
    if (pos) this.#position = pos;
    this.#listener.onEntered(joined.participant);
  }

  #show(snapshot: RoomSnapshot, pos: Position | undefined) {
    this.#position = pos;
    this.name = snapshot.name;
    this.participants = snapshot.participants;
    const known = new Set(snapshot.chat.map(({ id }) => id));
    // What one has read stays, also where the room itself remembers less.
    this.chat = [...this.chat.filter(({ id }) => !known.has(id)), ...snapshot.chat];
    this.#listener.onPeople();
    this.#listener.onChat();
  }

  #delta(delta: RoomDelta, pos: Position | undefined) {
    const at = this.#position;
    if (!pos || !at || pos.epoch !== at.epoch || pos.offset > at.offset + 1) return void this.#missed();
    if (pos.offset <= at.offset) return;
    this.#position = pos;
    this.#apply(delta);
  }

  async #missed() {
    // A lost connection is followed by a sync of its own.
    await this.sync().catch(() => undefined);
  }

  #apply(delta: RoomDelta) {
    switch (delta.kind) {
      case 'roster':
        this.participants = delta.participants;
        return this.#listener.onPeople();
      case 'chat':
        this.chat = [...this.chat, delta.message];
        return this.#listener.onChat();
      case 'settings':
        this.name = delta.name;
        return;
      case 'state':
        return;
    }
  }
}
