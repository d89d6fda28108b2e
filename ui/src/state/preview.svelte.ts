import { isCommandError, type Backend, type CommandError, type MicrophoneLevel } from '../backend';

const silence: MicrophoneLevel = { level: 0, clipped: false };

/** Camera and microphone outside of a call. Devices are open only while a view that shows them is there. */
export class PreviewStore {
  /** `on` when the camera's pictures can be fetched. */
  state = $state<'off' | 'opening' | 'on' | 'failed'>('off');
  error = $state.raw<CommandError | null>(null);
  level = $state.raw(silence);

  readonly #backend: Backend;
  /** Commands run one after the other: a view that opens must not be overtaken by the one that closes. */
  #queue: Promise<void> = Promise.resolve();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  listen(): () => void {
    const stops = [
      this.#backend.on('level', (level) => {
        if (this.state === 'on') this.level = level;
      }),
      this.#backend.on('trouble', ({ camera, microphone }) => {
        if (this.state !== 'on' && this.state !== 'failed') return;
        const message = camera ?? microphone;
        this.state = camera === null ? 'on' : 'failed';
        this.error = message === null ? null : { code: camera === null ? 'microphone' : 'camera', message };
      }),
    ];
    return () => stops.forEach((stop) => stop());
  }

  start(): Promise<void> {
    return this.#enqueue(async () => {
      this.state = 'opening';
      this.error = null;
      await this.#backend.startPreview();
      this.state = 'on';
    });
  }

  stop(): Promise<void> {
    return this.#enqueue(async () => {
      this.state = 'off';
      this.level = silence;
      await this.#backend.stopPreview();
    });
  }

  /** With the devices that are chosen now. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  #enqueue(command: () => Promise<void>): Promise<void> {
    this.#queue = this.#queue.then(command).catch((error: unknown) => {
      this.state = 'failed';
      this.level = silence;
      this.error = isCommandError(error) ? error : { code: 'no_answer', message: String(error) };
    });
    return this.#queue;
  }
}
