import { problem, type Backend, type ShowListener } from '../backend';
import type {
  CallSnapshot,
  CallSummary,
  CallsView,
  Conversation,
  DeviceState,
  Message,
  PersonCall,
  Problem,
  SettingsChange,
} from '../backend/bindings';
import { BrowserBackend, explain, off, on, opening } from '../backend/browser';
import { watchArea, type Area } from '../video/area';
import type { Stream } from '../video/protocol';
import { Call, type Other } from './call';
import { Figures } from './figures';
import { knowsH264, type Tracks } from './leg';
import { Room } from './room';
import { Servers } from './servers';
import { Session } from './session';
import { Refused, Tokens } from './tokens';

/** How often figures are told. */
const FIGURES_MS = 500;

/** What an invite link names. */
export interface Invite {
  room: string;
  token: string;
}

/** How far a guest is. */
export type Stage =
  | { at: 'outside' }
  | { at: 'entering' }
  | { at: 'waiting' }
  | { at: 'inside' }
  | { at: 'over'; why: Over; message?: string };

export type Over =
  'left' | 'removed' | 'not_admitted' | 'room_deleted' | 'connection_lost' | 'refused' | 'ended';

/** Reads an invite link: the room is in the path, the secret in the fragment, which never reaches a server. */
export function readInvite({ pathname, hash }: Pick<Location, 'pathname' | 'hash'>): Invite | null {
  const room = /^\/join\/(r_[0-9a-hjkmnp-tv-z]{26})$/.exec(pathname)?.[1];
  // The fingerprint of a certificate is for programs: the browser has made up its mind by now.
  const token = hash.slice(1).split('&pin=')[0]!;
  return room && /^[\x21-\x7e]{8,2048}$/.test(token) ? { room, token } : null;
}

/** The same link for the desktop program, where one is installed: the system opens it. */
export function deepLink(invite: string): string {
  return `ahoy:${invite}`;
}

/** A call in a room, from a browser: its own WebRTC and devices behind the same commands as the program's. */
export class GuestBackend extends BrowserBackend implements Backend {
  readonly #invite: Invite;
  readonly #onStage: (stage: Stage) => void;
  readonly #onLink: (online: boolean) => void;
  readonly #call: Call;
  #servers: Servers | undefined;
  #session: Session | undefined;
  #room: Room | undefined;
  #own = new MediaStream();
  #muted = false;
  #cameraWanted = true;
  #camera: DeviceState = off;
  #microphone: DeviceState = off;
  #figures: { of: string; figures: Figures } | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #connectedAt = 0;
  #seen = 0;
  /** Where pictures are shown, and what plays the others' sound. */
  readonly #screens = new Map<HTMLVideoElement, Stream>();
  readonly #sounds = new Map<string, HTMLAudioElement>();
  /** Where the others' pictures were shown last. What is out of the view for a while, as on hold, comes back the same. */
  #area: Area | undefined;

  constructor(invite: Invite, onStage: (stage: Stage) => void, onLink: (online: boolean) => void) {
    super();
    this.#invite = invite;
    this.#onStage = onStage;
    this.#onLink = onLink;
    this.#call = new Call({
      // What can't be said now is said again by whoever looks for another path.
      onSignal: (to, connection, signal) =>
        void this.#room?.signal(to, connection, signal).catch(() => undefined),
      onChanged: () => this.#tell(),
    });
  }

  get roomName(): string {
    return this.#room?.name ?? '';
  }

  /** Comes in by this name. Rejects where the invite is no good or the server does not answer. */
  async enter(name: string): Promise<void> {
    this.#onStage({ at: 'entering' });
    try {
      const tokens = await Tokens.redeem(this.#invite.token, name);
      await this.#openDevices();
      this.#begin(tokens);
    } catch (error) {
      this.#onStage({ at: 'outside' });
      throw error;
    }
  }

  #begin(tokens: Tokens) {
    const url = new URL('/v1/ws', location.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    url.hash = '';
    const session = (this.#session = new Session({
      url: url.href,
      tokens,
      version: __AHOY_VERSION__,
      onBegan: () => {
        this.#servers?.begin();
        void this.#join();
      },
      onResumed: () => void this.#room?.sync().catch(() => undefined),
      onNews: (envelope) => this.#room?.take(envelope),
      onLink: this.#onLink,
      onEnded: (why) => {
        if (this.#session === session && why !== 'left') this.#end({ at: 'over', why: 'ended' });
      },
    }));
    this.#servers = new Servers(session, (servers) => this.#call.use(servers));
    this.#room = new Room(session, this.#invite.room, {
      onWaiting: () => this.#onStage({ at: 'waiting' }),
      onEntered: (me) => this.#entered(me),
      onPeople: () => this.#call.see(this.#room?.me, this.#room?.participants ?? []),
      onChat: () => this.emitMessages(),
      onMuteRequested: () => void this.setMuted(true),
      onSignal: (from, connection, signal) => this.#call.take(from, connection, signal),
      onLeft: (why) => this.#end({ at: 'over', why }),
    });
  }

  async #join() {
    try {
      await this.#room?.join();
    } catch (error) {
      if (error instanceof Refused) this.#end({ at: 'over', why: 'refused', message: error.refusal.code });
    }
  }

  #entered(me: string) {
    this.#onStage({ at: 'inside' });
    this.#call.see(me, this.#room?.participants ?? []);
    void this.#room?.tellMuted(this.#muted).catch(() => undefined);
    if (!knowsH264()) this.emit('failed', problem('browser_without_h264'));
    this.#timer ??= setInterval(() => void this.#count(), FIGURES_MS);
    this.#tell();
  }

  #end(stage: Stage) {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#call.leave();
    this.#servers?.end();
    const seconds = this.#connectedAt ? (performance.now() - this.#connectedAt) / 1000 : 0;
    const session = this.#session;
    this.#session = this.#room = undefined;
    void session?.end();
    for (const track of this.#own.getTracks()) track.stop();
    this.#own = new MediaStream();
    for (const sound of this.#sounds.values()) sound.srcObject = null;
    this.#sounds.clear();
    this.#connectedAt = 0;
    this.emit('calls', { current: null, ringing: [] });
    this.emit('ended', summary(seconds));
    this.#onStage(stage);
  }

  // What the call's view asks for.

  override hangUp() {
    if (!this.#session) return Promise.resolve(null);
    this.#end({ at: 'over', why: 'left' });
    return Promise.resolve(null);
  }

  override async setMuted(muted: boolean) {
    this.#muted = muted;
    await this.#send();
    void this.#room?.tellMuted(muted).catch(() => undefined);
  }

  override async setCameraOn(wanted: boolean) {
    this.#cameraWanted = wanted;
    if (wanted) await this.#openOwn('camera');
    else this.#stop('camera');
    await this.#send();
  }

  override setHeld(held: boolean) {
    return this.#call.hold(held);
  }

  override async retryDevices() {
    if (!this.#session) return super.retryDevices();
    if (this.#camera.trouble && this.#cameraWanted) await this.#openOwn('camera');
    if (this.#microphone.trouble) await this.#openOwn('microphone');
    await this.#send();
  }

  override async changeSettings(change: SettingsChange) {
    const before = await this.settings();
    const now = await super.changeSettings(change);
    if (this.#session) {
      if (before.camera !== now.camera && this.#cameraWanted) await this.#openOwn('camera');
      if (before.microphone !== now.microphone) await this.#openOwn('microphone');
      this.#tuneSpeakers(now.speaker);
      await this.#send();
    }
    return now;
  }

  override calls(): Promise<CallsView> {
    return Promise.resolve({ current: this.#current(), ringing: [] });
  }

  override show(stream: Stream, host: HTMLElement, told: ShowListener) {
    if (!this.#session) return super.show(stream, host, told);
    return this.showIn(host, told.onPlaying, (video) => {
      this.#screens.set(video, stream);
      this.#project();
      const endWatching = stream === 'remote' ? watchArea(host, (area) => this.#shownIn(area)) : undefined;
      return () => {
        endWatching?.();
        this.#screens.delete(video);
      };
    });
  }

  // Chat, as the view of messages asks for it: the room's own.

  override conversations(): Promise<Conversation[]> {
    const [other, lines] = [this.#shown(), this.#room?.chat ?? []];
    const last = this.#lines().at(-1);
    if (!other || !last) return Promise.resolve([]);
    const with_ = { user: other.user, handle: '', name: other.name };
    const mine = this.#mine();
    const unread = lines.slice(this.#seen).filter(({ user }) => user !== mine).length;
    return Promise.resolve([{ with: with_, last, unread }]);
  }

  override messages(_user: string, before: string | null): Promise<Message[]> {
    return Promise.resolve(before ? [] : this.#lines());
  }

  override async writeMessage(_user: string, text: string) {
    await this.#room?.say(text);
  }

  override messagesSeen() {
    this.#seen = this.#room?.chat.length ?? 0;
    this.emitMessages();
    return Promise.resolve();
  }

  emitMessages() {
    this.emit('messages_changed', undefined);
  }

  #mine(): string | undefined {
    return this.#room?.participants.find(({ id }) => id === this.#room?.me)?.user;
  }

  #lines(): Message[] {
    const mine = this.#mine();
    const several = this.#call.others.length > 1;
    return (this.#room?.chat ?? []).map(({ id, user, name, at_ms, text }) => ({
      message: id,
      // With several the side alone does not say who it was.
      text: several && user !== mine ? `${name}: ${text}` : text,
      at_ms,
      state: user === mine ? 'sent' : 'received',
    }));
  }

  // Devices.

  async #openDevices() {
    await this.stopPreview();
    await this.#openOwn('microphone');
    if (this.#cameraWanted) await this.#openOwn('camera');
    await this.#send();
  }

  async #openOwn(kind: 'camera' | 'microphone') {
    this.#stop(kind);
    this.#set(kind, opening);
    const settings = await this.settings();
    const id = settings[kind];
    const chosen = id ? { deviceId: { exact: id } } : {};
    const height = Number.parseInt(settings.picture, 10);
    const wanted: MediaStreamConstraints =
      kind === 'camera'
        ? {
            video: {
              ...chosen,
              height: { ideal: height },
              width: { ideal: (height * 16) / 9 },
              frameRate: { ideal: 30 },
            },
          }
        : { audio: { ...chosen, echoCancellation: true, noiseSuppression: true, autoGainControl: true } };
    try {
      const [track] = (await navigator.mediaDevices.getUserMedia(wanted)).getTracks();
      if (!track) return;
      track.addEventListener('ended', () => {
        // Pulled out, or taken away by the person.
        if (this.#own.getTracks().includes(track)) {
          this.#stop(kind);
          this.#set(kind, { standing: 'failed', trouble: problem(`${kind}_lost`) as Problem });
          void this.#send();
        }
      });
      this.#own.addTrack(track);
      this.#set(kind, on);
    } catch (error) {
      this.#set(kind, { standing: 'failed', trouble: explain(kind, error) });
    }
  }

  #stop(kind: 'camera' | 'microphone') {
    for (const track of this.#tracksOf(kind)) {
      this.#own.removeTrack(track);
      track.stop();
    }
    this.#set(kind, off);
  }

  #tracksOf(kind: 'camera' | 'microphone') {
    return kind === 'camera' ? this.#own.getVideoTracks() : this.#own.getAudioTracks();
  }

  #set(kind: 'camera' | 'microphone', state: DeviceState) {
    if (kind === 'camera') this.#camera = state;
    else this.#microphone = state;
    this.#tell();
  }

  #send(): Promise<void> {
    const [audio = null] = this.#own.getAudioTracks();
    const [video = null] = this.#own.getVideoTracks();
    if (audio) audio.enabled = !this.#muted;
    const tracks: Tracks = { audio, video };
    const media = { microphone: !this.#muted && audio !== null, camera: video !== null };
    this.#tell();
    return this.#call.send(tracks, media);
  }

  // What is told.

  /** Whom the view shows: the first who can be seen or heard, or who is being connected to. */
  #shown(): Other | undefined {
    const { others } = this.#call;
    return others.find(({ connected }) => connected) ?? others[0];
  }

  #current(): PersonCall | null {
    if (!this.#session) return null;
    const other = this.#shown();
    const stage = (): PersonCall['stage'] => {
      if (!other) return 'calling';
      if (other.connected) return 'connected';
      return other.wasConnected ? 'reconnecting' : 'connecting';
    };
    return {
      user: other?.user ?? '',
      handle: '',
      name: other?.name ?? this.roomName,
      outgoing: true,
      stage: stage(),
      held: this.#call.held,
      held_there: other?.held ?? false,
      muted_there: other?.media ? !other.media.microphone : false,
      camera_there: other?.media?.camera ?? null,
      paused_there: other?.media?.paused ?? false,
      link: null,
      hosted: false,
      lobby: [],
    };
  }

  #tell() {
    if (!this.#session) return;
    this.#project();
    const snapshot: CallSnapshot = {
      phase: 'running',
      muted: this.#muted,
      camera: this.#camera,
      microphone: this.#microphone,
      speaker: on,
      problems: [],
    };
    this.emit('calls', { current: this.#current(), ringing: [] });
    this.emit('call', snapshot);
  }

  #shownIn(area: Area) {
    this.#area = area;
    if (this.#session) this.#project();
  }

  /** Pictures go where they are shown, and everybody is heard. */
  #project() {
    const shown = this.#shown();
    for (const [video, stream] of this.#screens) {
      const source = stream === 'local' ? this.#own : shown?.stream;
      // The same again would make it flicker.
      if (video.srcObject !== (source ?? null)) video.srcObject = source ?? null;
    }
    if (this.#area) this.#call.show(shown?.id, this.#area);
    const here = new Set(this.#call.others.map(({ id }) => id));
    for (const [id, sound] of this.#sounds) {
      if (here.has(id)) continue;
      sound.srcObject = null;
      this.#sounds.delete(id);
    }
    for (const { id, stream } of this.#call.others) {
      let sound = this.#sounds.get(id);
      if (!sound) {
        sound = new Audio();
        sound.autoplay = true;
        this.#sounds.set(id, sound);
        void this.settings().then(({ speaker }) => this.#tuneSpeakers(speaker));
      }
      if (sound.srcObject !== stream) sound.srcObject = stream;
      sound.muted = this.#call.held;
    }
  }

  #tuneSpeakers(speaker: string | null) {
    for (const sound of this.#sounds.values()) {
      // Not every browser can choose; then the system's is used.
      if ('setSinkId' in sound) void sound.setSinkId(speaker ?? '').catch(() => undefined);
    }
  }

  async #count() {
    const other = this.#shown();
    if (!other?.connected) return;
    this.#connectedAt ||= performance.now();
    if (this.#figures?.of !== other.id) this.#figures = { of: other.id, figures: new Figures() };
    const report = await this.#call.stats(other.id);
    if (report && this.#session) this.emit('stats', this.#figures.figures.next(report));
  }
}

function summary(seconds: number): CallSummary {
  return {
    with: null,
    seconds,
    ok: true,
    problems: [],
    setup_ms: null,
    fps: null,
    freezes: null,
    latency_ms: null,
    decode_ms: null,
    decode_p95_ms: null,
    audio_delay_ms: null,
    bitrate_kbps: null,
  };
}
