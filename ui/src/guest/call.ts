import type { CallSignal, Participant } from '../backend/protocol';
import { isSeen, NOWHERE, same, type Area } from '../video/area';
import type { Control, MediaState } from './control';
import { Leg, type Tracks } from './leg';

/** How long a path is looked for before both begin anew. */
const ANEW_AFTER_MS = 30_000;

/** Somebody else in the room. */
export interface Other {
  readonly id: string;
  readonly user: string;
  name: string;
  connected: boolean;
  /** Whether there ever was a connection. */
  wasConnected: boolean;
  held: boolean;
  media: MediaState | null;
  readonly stream: MediaStream;
}

interface Entry extends Other {
  leg: Leg;
  connection: number;
  offers: boolean;
  gone: boolean;
  /** Where their pictures are shown, as far as they know over this connection. */
  told: Area | undefined;
  anew: ReturnType<typeof setTimeout> | undefined;
}

export interface CallListener {
  onSignal: (to: string, connection: number, signal: CallSignal) => void;
  onChanged: () => void;
}

/** The connections to everybody else in a room, as `RoomCall` of crates/call decides about them. */
export class Call {
  readonly #listener: CallListener;
  readonly #others = new Map<string, Entry>();
  #me: string | undefined;
  #tracks: Tracks = { audio: null, video: null };
  #media: MediaState = { microphone: false, camera: false };
  #held = false;
  #servers: RTCIceServer[] = [];

  constructor(listener: CallListener) {
    this.#listener = listener;
  }

  get others(): readonly Other[] {
    return [...this.#others.values()];
  }

  get held(): boolean {
    return this.#held;
  }

  stats(id: string): Promise<RTCStatsReport> | undefined {
    return this.#others.get(id)?.leg.stats();
  }

  /** Who one is, and who else is in the room now. */
  see(me: string | undefined, present: readonly Participant[]) {
    if (this.#me !== me) {
      // For everybody else this is somebody new.
      for (const id of [...this.#others.keys()]) this.#close(id);
      this.#me = me;
    }
    if (me === undefined) return this.#listener.onChanged();
    const here = new Map(
      present.filter(({ id }) => id !== me).map((participant) => [participant.id, participant]),
    );
    for (const [id, other] of this.#others) {
      other.gone = !here.has(id);
      // They may only have lost their way to the server: while packets come, they stay.
      if (other.gone && !other.connected) this.#close(id);
    }
    for (const { id, user, name } of here.values()) {
      const known = this.#others.get(id);
      if (known) known.name = name;
      else this.#open(me, id, user, name);
    }
    this.#listener.onChanged();
  }

  take(from: string, connection: number, signal: CallSignal) {
    const other = this.#others.get(from);
    if (!other) return;
    if (!other.offers && connection > other.connection) {
      if (other.connection !== 0) this.#begin(other);
      other.connection = connection;
    }
    if (connection === other.connection) void other.leg.take(signal);
  }

  /** STUN and TURN servers from now on. */
  use(servers: RTCIceServer[]) {
    this.#servers = servers;
    for (const { leg } of this.#others.values()) leg.use(servers);
  }

  async send(tracks: Tracks, media: MediaState): Promise<void> {
    [this.#tracks, this.#media] = [tracks, media];
    const sent = this.#sent();
    for (const { leg, connected } of this.#others.values()) {
      if (connected) leg.tell({ type: 'media', media });
    }
    await Promise.all([...this.#others.values()].map(({ leg }) => leg.send(sent)));
  }

  async hold(on: boolean): Promise<void> {
    if (this.#held === on) return;
    this.#held = on;
    this.#tellAll({ type: 'hold', on });
    const sent = this.#sent();
    await Promise.all([...this.#others.values()].map(({ leg }) => leg.send(sent)));
    this.#listener.onChanged();
  }

  /** The pictures of one of them are shown in this area, and nobody else's. */
  show(seen: string | undefined, area: Area) {
    for (const entry of this.#others.values()) {
      const now = entry.id === seen ? area : NOWHERE;
      if (!entry.connected || (entry.told && same(entry.told, now))) continue;
      entry.told = now;
      entry.leg.tell({ type: 'view', view: isSeen(now) ? now : null });
    }
  }

  leave() {
    this.#tellAll({ type: 'hang_up' });
    // The channel is given a moment to say so.
    for (const { leg, anew } of this.#others.values()) {
      clearTimeout(anew);
      setTimeout(() => leg.close(), 200);
    }
    this.#others.clear();
    this.#me = undefined;
  }

  #sent(): Tracks {
    return this.#held ? { audio: null, video: null } : this.#tracks;
  }

  #tellAll(message: Control) {
    for (const { leg, connected } of this.#others.values()) if (connected) leg.tell(message);
  }

  #open(me: string, id: string, user: string, name: string) {
    // Between two, whoever has the lower id offers (docs/signaling.md, rooms).
    const offers = me < id;
    const entry = { id, user, name, offers, connection: offers ? 1 : 0 } as Entry;
    Object.assign(entry, { connected: false, wasConnected: false, held: false, media: null, gone: false });
    this.#others.set(id, entry);
    this.#begin(entry);
  }

  #begin(entry: Entry) {
    entry.leg?.close();
    const leg: Leg = new Leg({
      offers: entry.offers,
      tracks: this.#sent(),
      servers: this.#servers,
      onSignal: (signal) => this.#say(entry, leg, signal),
      onControl: (message) => this.#heard(entry, leg, message),
      onState: (state) => this.#linked(entry, leg, state),
      onTracks: () => this.#listener.onChanged(),
    });
    Object.assign(entry, { leg, stream: leg.stream, connected: false });
    this.#watch(entry);
  }

  /** Where no path is found for long, whoever offers begins anew. */
  #watch(entry: Entry) {
    clearTimeout(entry.anew);
    entry.anew = setTimeout(() => {
      if (entry.connected || this.#others.get(entry.id) !== entry) return;
      if (entry.gone) return this.#close(entry.id);
      if (!entry.offers) return;
      entry.connection += 1;
      this.#begin(entry);
    }, ANEW_AFTER_MS);
  }

  #say(entry: Entry, leg: Leg, signal: CallSignal) {
    if (entry.leg !== leg) return;
    // The server does not know them any more, but they are there.
    if (entry.gone) leg.tell({ type: 'signal', signal });
    else this.#listener.onSignal(entry.id, entry.connection, signal);
  }

  #heard(entry: Entry, leg: Leg, message: Control) {
    if (entry.leg !== leg) return;
    switch (message.type) {
      case 'hang_up':
        this.#close(entry.id);
        break;
      case 'hold':
        entry.held = message.on;
        break;
      case 'media':
        entry.media = message.media;
        break;
      case 'view':
        void leg.fit(message.view);
        break;
      case 'signal':
        void leg.take(message.signal);
        break;
    }
    this.#listener.onChanged();
  }

  #linked(entry: Entry, leg: Leg, state: RTCPeerConnectionState) {
    if (entry.leg !== leg || state === 'closed') return;
    const connected = state === 'connected';
    if (connected && !entry.connected) {
      clearTimeout(entry.anew);
      entry.wasConnected = true;
      entry.told = undefined;
      leg.tell({ type: 'media', media: this.#media });
      if (this.#held) leg.tell({ type: 'hold', on: true });
    }
    if (!connected && entry.connected) this.#watch(entry);
    // One attempt that goes on is no news.
    if (state !== 'connecting' && state !== 'new') entry.connected = connected;
    if (entry.gone && !entry.connected) this.#close(entry.id);
    this.#listener.onChanged();
  }

  #close(id: string) {
    const other = this.#others.get(id);
    if (!other) return;
    clearTimeout(other.anew);
    this.#others.delete(id);
    other.leg.close();
  }
}
