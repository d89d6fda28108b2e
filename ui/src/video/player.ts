import type { Access } from '../backend';
import { watchArea } from './area';
import { StreamClient } from './client';
import { decodesH264, H264Decoder } from './h264';
import { paintI420, type I420Painter } from './i420';
import type { Picture, Stream } from './protocol';

export interface PlayerOptions {
  access: () => Promise<Access>;
  stream: Stream;
  /** Whether there is something to see; called when it changes. */
  onPlaying?: (playing: boolean) => void;
  /** The web view can't decode H.264, so the program sends decoded pictures. */
  onFallback?: () => void;
}

/**
 * Shows one stream inside of an element. It owns the canvas, since one that has drawn in one way can't draw in the other,
 * and works outside of Svelte: thirty pictures a second are none of its business.
 */
export class VideoPlayer {
  readonly #host: HTMLElement;
  readonly #options: PlayerOptions;
  #client: StreamClient | undefined;
  #endWatching: (() => void) | undefined;
  #decoder: H264Decoder | undefined;
  #flat: { canvas: HTMLCanvasElement; context: CanvasRenderingContext2D } | undefined;
  #raw: { canvas: HTMLCanvasElement; painter: I420Painter } | undefined;
  /** Decoded since the screen was last refreshed: the newest waits, older ones are dropped. */
  #waiting: { frame: VideoFrame; number: number } | undefined;
  #refresh = 0;
  #playing = false;
  #fellBack = false;
  #closed = false;

  constructor(host: HTMLElement, options: PlayerOptions) {
    this.#host = host;
    this.#options = options;
    void this.#start();
  }

  close() {
    this.#closed = true;
    this.#endWatching?.();
    this.#client?.close();
    this.#decoder?.close();
    cancelAnimationFrame(this.#refresh);
    this.#waiting?.frame.close();
    this.#waiting = undefined;
    this.#dropFlat();
    this.#dropRaw();
  }

  async #start() {
    const able = await decodesH264();
    if (this.#closed) return;
    if (!able) this.#fallBack();
    const client = new StreamClient({
      access: this.#options.access,
      stream: this.#options.stream,
      accepts: able ? 'h264' : 'i420',
      onPicture: (picture) => this.#take(picture),
      onLost: () => this.#setPlaying(false),
    });
    this.#client = client;
    this.#endWatching = watchArea(this.#host, (area) => client.drawIn(area));
  }

  #take(picture: Picture) {
    if (picture.format === 'i420') {
      this.#drawRaw(picture);
    } else if (this.#fellBack) {
      // It was on its way before the program knew.
      this.#client?.dropped();
    } else {
      this.#decoder ??= new H264Decoder({
        decoded: (frame, number) => this.#drawSoon(frame, number),
        dropped: () => this.#client?.dropped(),
        keyFrameWanted: () => this.#client?.wantKeyFrame(),
        unsupported: () => {
          this.#fallBack();
          this.#client?.accept('i420');
        },
      });
      this.#decoder.decode(picture);
    }
  }

  #fallBack() {
    this.#fellBack = true;
    this.#options.onFallback?.();
  }

  /** At once when the screen has refreshed since the last picture; otherwise the newest one at the next refresh. */
  #drawSoon(frame: VideoFrame, number: number) {
    if (this.#refresh === 0) {
      this.#drawFlat(frame, number);
      this.#refresh = requestAnimationFrame(this.#onRefresh);
      return;
    }
    if (this.#waiting) {
      this.#waiting.frame.close();
      this.#client?.dropped();
    }
    this.#waiting = { frame, number };
  }

  readonly #onRefresh = () => {
    this.#refresh = 0;
    if (!this.#waiting) return;
    const { frame, number } = this.#waiting;
    this.#waiting = undefined;
    this.#drawSoon(frame, number);
  };

  #drawFlat(frame: VideoFrame, number: number) {
    if (!this.#flat) {
      const canvas = this.#canvas();
      const context = canvas.getContext('2d', { alpha: false });
      if (!context) throw new Error('the web view gives no 2D canvas');
      this.#flat = { canvas, context };
    }
    const { canvas, context } = this.#flat;
    const { displayWidth, displayHeight } = frame;
    if (canvas.width !== displayWidth || canvas.height !== displayHeight) {
      canvas.width = displayWidth;
      canvas.height = displayHeight;
    }
    context.drawImage(frame, 0, 0);
    frame.close();
    this.#dropRaw();
    this.#onDrawn(number);
  }

  #drawRaw(picture: Picture) {
    if (!this.#raw) {
      const canvas = this.#canvas();
      this.#raw = { canvas, painter: paintI420(canvas) };
    }
    this.#raw.painter.draw(picture);
    this.#dropFlat();
    this.#onDrawn(picture.number);
  }

  #onDrawn(number: number) {
    this.#setPlaying(true);
    this.#client?.drawn(number);
  }

  #setPlaying(playing: boolean) {
    if (playing === this.#playing) return;
    this.#playing = playing;
    this.#options.onPlaying?.(playing);
  }

  #canvas(): HTMLCanvasElement {
    const canvas = document.createElement('canvas');
    this.#host.append(canvas);
    return canvas;
  }

  #dropFlat() {
    this.#flat?.canvas.remove();
    this.#flat = undefined;
  }

  #dropRaw() {
    this.#raw?.painter.close();
    this.#raw?.canvas.remove();
    this.#raw = undefined;
  }
}
