import {
  toProblem,
  type AnyProblem,
  type Backend,
  type MicrophoneLevel,
  type PreviewSnapshot,
} from '../backend';

const silence: MicrophoneLevel = { level: 0, clipped: false };
const closed: PreviewSnapshot = {
  camera: { standing: 'off', trouble: null },
  microphone: { standing: 'off', trouble: null },
};

/** Camera and microphone outside of a call. Devices are open only while a view that shows them is there. */
export class PreviewStore {
  snapshot = $state.raw(closed);
  level = $state.raw(silence);
  /** Why the preview could not even begin. */
  error = $state.raw<AnyProblem | null>(null);
  /** Why the sound that was asked for last could not be played. */
  speakerTrouble = $state.raw<AnyProblem | null>(null);
  /** The same for where calls ring. */
  ringerTrouble = $state.raw<AnyProblem | null>(null);

  readonly #backend: Backend;
  /** Commands run one after the other: a view that opens must not be overtaken by the one that closes. */
  #queue: Promise<void> = Promise.resolve();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  listen(): () => void {
    const stops = [
      this.#backend.on('preview', (snapshot) => {
        this.snapshot = snapshot;
        if (snapshot.microphone.standing !== 'on') this.level = silence;
      }),
      this.#backend.on('level', (level) => {
        if (this.snapshot.microphone.standing === 'on') this.level = level;
      }),
    ];
    return () => stops.forEach((stop) => stop());
  }

  /** Opens the devices until the returned function is called. */
  hold(): () => void {
    void this.#enqueue(() => this.#backend.startPreview());
    return () => {
      this.speakerTrouble = this.ringerTrouble = null;
      void this.#enqueue(() => this.#backend.stopPreview());
    };
  }

  /** Plays a sound at the speaker; resolves when it has been heard or could not be played. */
  async testSpeaker(): Promise<void> {
    this.speakerTrouble = null;
    try {
      await this.#backend.testSpeaker(false);
    } catch (error) {
      this.speakerTrouble = toProblem(error);
    }
  }

  /** The same at the speaker where calls ring. */
  async testRinger(): Promise<void> {
    this.ringerTrouble = null;
    try {
      await this.#backend.testSpeaker(true);
    } catch (error) {
      this.ringerTrouble = toProblem(error);
    }
  }

  #enqueue(command: () => Promise<void>): Promise<void> {
    this.#queue = this.#queue.then(async () => {
      this.error = null;
      try {
        await command();
      } catch (error) {
        this.error = toProblem(error);
      }
    });
    return this.#queue;
  }
}
