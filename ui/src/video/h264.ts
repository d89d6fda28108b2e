import { colourSpace } from './colour';
import type { Picture } from './protocol';

/** Constrained baseline, level 3.1: 720p at 30 pictures a second. Access units are in Annex B form. */
const CODEC = 'avc1.42e01f';
/** A decoder that has failed this often without a good picture in between will not get better. */
const MOST_ERRORS = 3;
/** A decoder that gives nothing for this long though it has pictures is broken: some web views do so silently. */
const SILENCE_MS = 2000;

export interface H264Events {
  /** The receiver closes the frame. */
  decoded(frame: VideoFrame, number: number): void;
  /** A picture went into the decoder and will not come out, or did not go in. */
  dropped(): void;
  keyFrameWanted(): void;
  /** This web view can't decode H.264. No event follows. */
  unsupported(): void;
}

/** Whether the web view can decode H.264 at all. WebKitGTK can't where GStreamer lacks the plug-in. */
export async function decodesH264(): Promise<boolean> {
  if (typeof VideoDecoder === 'undefined') return false;
  try {
    return (await VideoDecoder.isConfigSupported({ codec: CODEC })).supported === true;
  } catch {
    return false;
  }
}

/** The web view's decoder: fed in order, asks for a key frame when it has lost its way. */
export class H264Decoder {
  readonly #events: H264Events;
  #decoder: VideoDecoder | undefined;
  /** The colours the decoder was told. */
  #configured = '';
  /** Only a key frame can begin. */
  #started = false;
  #asked = false;
  #errors = 0;
  /** Pictures in the decoder, in order of decoding, which in this profile is that of showing. */
  #inside: { timestamp: number; number: number }[] = [];
  #watch: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(events: H264Events) {
    this.#events = events;
  }

  decode(picture: Picture) {
    if (this.#closed) return;
    if (!this.#started && !picture.keyFrame) {
      this.#events.dropped();
      this.#askForKeyFrame();
      return;
    }
    try {
      // First of all, so that a failure gives back its credit.
      this.#inside.push({ timestamp: picture.timestamp, number: picture.number });
      this.#ready(picture).decode(
        new EncodedVideoChunk({
          type: picture.keyFrame ? 'key' : 'delta',
          timestamp: picture.timestamp,
          data: picture.payload,
        }),
      );
      this.#started = true;
      if (picture.keyFrame) this.#asked = false;
      this.#watch ??= setTimeout(() => this.#fail(), SILENCE_MS);
    } catch {
      this.#fail();
    }
  }

  close() {
    this.#closed = true;
    this.#inside = [];
    this.#reset();
  }

  #ready({ keyFrame, colour }: Picture): VideoDecoder {
    const wanted = `${colour.matrix} ${colour.fullRange}`;
    this.#decoder ??= new VideoDecoder({
      output: (frame) => this.#onFrame(frame),
      error: () => this.#fail(),
    });
    // A decoder forgets what it has when it is configured: only a key frame may bring other colours.
    if (this.#configured === '' || (keyFrame && wanted !== this.#configured)) {
      this.#decoder.configure({ codec: CODEC, optimizeForLatency: true, colorSpace: colourSpace(colour) });
      this.#configured = wanted;
    }
    return this.#decoder;
  }

  #onFrame(frame: VideoFrame) {
    clearTimeout(this.#watch);
    this.#watch = undefined;
    // A decoder may leave out a damaged picture; web views also round timestamps.
    const at = this.#inside.findIndex(({ timestamp }) => Math.abs(timestamp - frame.timestamp) <= 1);
    const passed = this.#inside.splice(0, Math.max(at, 0) + 1);
    const own = passed.pop();
    if (this.#closed || !own) {
      frame.close();
      return;
    }
    for (let skipped = passed.length; skipped > 0; skipped--) this.#events.dropped();
    this.#errors = 0;
    if (this.#inside.length > 0) this.#watch = setTimeout(() => this.#fail(), SILENCE_MS);
    this.#events.decoded(frame, own.number);
  }

  #fail() {
    if (this.#closed) return;
    this.#reset();
    this.#errors++;
    for (const _ of this.#inside.splice(0)) this.#events.dropped();
    if (this.#errors >= MOST_ERRORS) {
      this.#closed = true;
      this.#events.unsupported();
    } else {
      this.#askForKeyFrame();
    }
  }

  #reset() {
    clearTimeout(this.#watch);
    this.#watch = undefined;
    if (this.#decoder && this.#decoder.state !== 'closed') this.#decoder.close();
    this.#decoder = undefined;
    this.#configured = '';
    this.#started = false;
    this.#asked = false;
  }

  /** Once until it comes: each request costs the sender a large picture. */
  #askForKeyFrame() {
    if (this.#asked) return;
    this.#asked = true;
    this.#events.keyFrameWanted();
  }
}
