import type { CallSignal } from '../backend/protocol';
import { CONTROL_CHANNEL, readControl, type Control, type View } from './control';
import { downscale } from './fit';

/** How long a silent path may come back by itself before another is looked for. */
const RESTART_AFTER_MS = 2_000;

/** What is sent: null while the device is off. */
export interface Tracks {
  audio: MediaStreamTrack | null;
  video: MediaStreamTrack | null;
}

export interface LegOptions {
  /** Whether this side offers first, and is the impolite one when offers cross (W3C WebRTC section 10.7). */
  offers: boolean;
  tracks: Tracks;
  /** STUN and TURN servers, as far as they are known. */
  servers: RTCIceServer[];
  onSignal: (signal: CallSignal) => void;
  onControl: (message: Control) => void;
  onState: (state: RTCPeerConnectionState) => void;
  onTracks: () => void;
}

/** The ICE generation of a description: its username fragment (RFC 8839 section 5.4). */
export function generationOf(sdp: string): string | undefined {
  return /^a=ice-ufrag:(\S+)/m.exec(sdp)?.[1];
}

/** Whether this browser can take part with pictures at all. */
export function knowsH264(): boolean {
  const codecs = RTCRtpReceiver.getCapabilities('video')?.codecs ?? [];
  return codecs.some(({ mimeType }) => mimeType.toLowerCase() === 'video/h264');
}

/**
 * The other side's description with sound first that carries what was said before once more (RFC 2198), where it knows how:
 * browsers send what it names first. What is lost comes with the next packet, while there is no time to ask for sound again.
 */
export function repeatsFirst(sdp: string): string {
  const repeats = /^a=rtpmap:(\d+) red\/48000\/2\r?$/m.exec(sdp)?.[1];
  if (repeats === undefined) return sdp;
  return sdp.replace(/^(m=audio \S+ \S+)((?: \d+)+)/gm, (line: string, media: string, types: string) => {
    const offered = types.trim().split(' ');
    if (!offered.includes(repeats)) return line;
    return [media, repeats, ...offered.filter((type) => type !== repeats)].join(' ');
  });
}

function configuration(iceServers: RTCIceServer[]): RTCConfiguration {
  return { bundlePolicy: 'max-bundle', iceServers };
}

/** The connection to one other participant. */
export class Leg {
  readonly stream = new MediaStream();
  readonly #options: LegOptions;
  #tracks: Tracks;
  readonly #connection: RTCPeerConnection;
  #channel: RTCDataChannel | undefined;
  #unsent: Control[] = [];
  #revision = 0;
  #newest = 0;
  #makingOffer = false;
  #early: Extract<CallSignal, { type: 'candidate' }>[] = [];
  /** One after the other: a description must be in place before the candidates that follow it. */
  #queue: Promise<void> = Promise.resolve();
  #restart: ReturnType<typeof setTimeout> | undefined;
  /** How the other side shows what it gets; undefined while it has not said so. */
  #view: View | null | undefined;
  /** One after the other: the browser takes parameters back only as long as they are its newest. */
  #fitting: Promise<void> = Promise.resolve();

  constructor(options: LegOptions) {
    this.#options = options;
    this.#tracks = options.tracks;
    const connection = new RTCPeerConnection(configuration(options.servers));
    this.#connection = connection;
    connection.onnegotiationneeded = () => void this.#offer();
    connection.onicecandidate = ({ candidate }) => candidate && this.#tellCandidate(candidate);
    connection.onconnectionstatechange = () => this.#onState();
    connection.ontrack = ({ track }) => {
      this.stream.addTrack(track);
      options.onTracks();
    };
    connection.ondatachannel = ({ channel }) => this.#useChannel(channel);
    if (options.offers) {
      // Sound and picture from the beginning: turning the camera on later needs no new offer.
      connection.addTransceiver(options.tracks.audio ?? 'audio', { direction: 'sendrecv' });
      if (knowsH264()) connection.addTransceiver(options.tracks.video ?? 'video', { direction: 'sendrecv' });
      this.#useChannel(connection.createDataChannel(CONTROL_CHANNEL));
    }
  }

  get state(): RTCPeerConnectionState {
    return this.#connection.connectionState;
  }

  stats(): Promise<RTCStatsReport> {
    return this.#connection.getStats();
  }

  /** Sends these tracks from now on. */
  async send(tracks: Tracks): Promise<void> {
    this.#tracks = tracks;
    await Promise.all(
      this.#connection
        .getTransceivers()
        .map(({ sender, receiver: { track } }) =>
          sender.replaceTrack(track.kind === 'audio' ? tracks.audio : tracks.video),
        ),
    );
    // Another camera has pictures of another size.
    await this.#fit();
  }

  /** Sends pictures no larger than they are shown from now on, and none where they are not. */
  fit(view: View | null): Promise<void> {
    this.#view = view;
    return this.#fit();
  }

  /** Other servers, or other credentials for them, for what is gathered from now on. */
  use(servers: RTCIceServer[]) {
    this.#connection.setConfiguration(configuration(servers));
  }

  tell(message: Control) {
    this.#unsent.push(message);
    this.#flush();
  }

  /** Takes what the other side says. */
  take(signal: CallSignal): Promise<void> {
    this.#queue = this.#queue.then(
      () => this.#take(signal),
      () => this.#take(signal),
    );
    return this.#queue;
  }

  close() {
    clearTimeout(this.#restart);
    this.#flush();
    this.#connection.close();
  }

  #fit(): Promise<void> {
    // A browser that can't goes on with pictures as they are.
    this.#fitting = this.#fitting.then(() => this.#setEncoding()).catch(() => undefined);
    return this.#fitting;
  }

  async #setEncoding() {
    const view = this.#view;
    const videos = this.#connection
      .getTransceivers()
      .filter(({ receiver: { track } }) => track.kind === 'video');
    const sender = videos[0]?.sender;
    if (view === undefined || !sender?.track) return;
    const parameters = sender.getParameters();
    const [encoding] = parameters.encodings;
    if (!encoding) return;
    encoding.active = view !== null;
    if (view) encoding.scaleResolutionDownBy = downscale(sender.track.getSettings(), view);
    await sender.setParameters(parameters);
  }

  #useChannel(channel: RTCDataChannel) {
    if (channel.label !== CONTROL_CHANNEL) return;
    this.#channel = channel;
    channel.onopen = () => this.#flush();
    channel.onmessage = ({ data }) => {
      const message = readControl(data);
      if (message) this.#options.onControl(message);
    };
    this.#flush();
  }

  #flush() {
    if (this.#channel?.readyState !== 'open') return;
    for (const message of this.#unsent.splice(0)) this.#channel.send(JSON.stringify(message));
  }

  async #offer() {
    try {
      this.#makingOffer = true;
      await this.#connection.setLocalDescription();
      this.#tellDescription();
    } finally {
      this.#makingOffer = false;
    }
  }

  #tellDescription() {
    const description = this.#connection.localDescription;
    const generation = description && generationOf(description.sdp);
    if (!description || !generation || (description.type !== 'offer' && description.type !== 'answer'))
      return;
    this.#revision += 1;
    this.#options.onSignal({
      type: 'description',
      kind: description.type,
      revision: this.#revision,
      generation,
      sdp: description.sdp,
    });
  }

  #tellCandidate(candidate: RTCIceCandidate) {
    const generation =
      candidate.usernameFragment ?? generationOf(this.#connection.localDescription?.sdp ?? '');
    if (!generation || candidate.candidate === '') return;
    this.#options.onSignal({
      type: 'candidate',
      candidate: candidate.candidate,
      generation,
      ...(candidate.sdpMid === null ? {} : { sdp_mid: candidate.sdpMid }),
      ...(candidate.sdpMLineIndex === null ? {} : { sdp_mline_index: candidate.sdpMLineIndex }),
    });
  }

  async #take(signal: CallSignal) {
    const connection = this.#connection;
    if (connection.signalingState === 'closed') return;
    if (signal.type === 'candidate') return this.#takeCandidate(signal);
    // One that went another way may be late.
    if (signal.revision <= this.#newest) return;
    this.#newest = signal.revision;
    const collides = signal.kind === 'offer' && (this.#makingOffer || connection.signalingState !== 'stable');
    if (collides && this.#options.offers) return;
    if (signal.kind === 'answer' && connection.signalingState !== 'have-local-offer') return;
    await connection.setRemoteDescription({ type: signal.kind, sdp: repeatsFirst(signal.sdp) });
    for (const early of this.#early.splice(0)) await this.#takeCandidate(early);
    if (signal.kind === 'offer') {
      await this.#sendAlong();
      await connection.setLocalDescription();
      this.#tellDescription();
    }
  }

  /** What is sent goes over the media that the other side has offered. */
  async #sendAlong() {
    for (const transceiver of this.#connection.getTransceivers()) transceiver.direction = 'sendrecv';
    await this.send(this.#tracks);
  }

  async #takeCandidate(signal: Extract<CallSignal, { type: 'candidate' }>) {
    const remote = this.#connection.remoteDescription;
    if (!remote) {
      this.#early.push(signal);
      return;
    }
    // Of a generation that is over.
    if (generationOf(remote.sdp) !== signal.generation) return;
    const candidate = {
      candidate: signal.candidate,
      sdpMid: signal.sdp_mid ?? null,
      sdpMLineIndex: signal.sdp_mline_index ?? null,
      usernameFragment: signal.generation,
    };
    // One that this browser can't use leaves the others.
    await this.#connection.addIceCandidate(candidate).catch(() => undefined);
  }

  #onState() {
    clearTimeout(this.#restart);
    const { connectionState } = this.#connection;
    // Whoever offers looks for another path; the other side would only cross it.
    if (this.#options.offers && (connectionState === 'disconnected' || connectionState === 'failed')) {
      const wait = connectionState === 'failed' ? 0 : RESTART_AFTER_MS;
      this.#restart = setTimeout(() => this.#connection.restartIce(), wait);
    }
    this.#options.onState(connectionState);
  }
}
