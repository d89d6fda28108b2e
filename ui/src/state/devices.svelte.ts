import type { Backend, Devices } from '../backend';
import type { DeviceKind } from './remedies';

const none: Devices = { cameras: [], microphones: [], speakers: [], problems: [] };

/** The devices that are there now. */
export class DevicesStore {
  current = $state.raw(none);
  /** Before the first list nothing can be said about what is missing. */
  known = $state(false);

  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  listen(): () => void {
    return this.#backend.on('devices', (devices) => this.#take(devices));
  }

  of(kind: DeviceKind) {
    const { cameras, microphones, speakers } = this.current;
    return { camera: cameras, microphone: microphones, speaker: speakers }[kind];
  }

  async load(): Promise<void> {
    this.#take(await this.#backend.devices());
  }

  #take(devices: Devices) {
    this.current = devices;
    this.known = true;
  }
}
