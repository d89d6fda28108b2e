import type { Backend, Devices } from '../backend';
import type { Choice } from '../components/Select.svelte';
import type { Messages } from '../messages';
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

  /** What a list of devices offers beside the system's own choice. */
  choices(kind: DeviceKind, chosen: string | null, text: Messages['devices']): Choice[] {
    const found = this.of(kind);
    const usual = found.find((device) => 'is_default' in device && device.is_default)?.name ?? '';
    const none = this.known && found.length === 0 && chosen === null;
    const gone = this.known && chosen !== null && !found.some(({ id }) => id === chosen);
    return [
      { value: '', label: none ? text.none : text.system(usual) },
      ...found.map(({ id, name }) => ({ value: id, label: name })),
      ...(gone ? [{ value: chosen, label: text.gone }] : []),
    ];
  }

  async load(): Promise<void> {
    this.#take(await this.#backend.devices());
  }

  #take(devices: Devices) {
    this.current = devices;
    this.known = true;
  }
}
