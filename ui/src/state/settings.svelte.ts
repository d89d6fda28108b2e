import type { Backend, Settings, SettingsChange } from '../backend';

/** The settings as the program has stored them. Only the program changes them; the window asks. */
export class SettingsStore {
  current = $state.raw<Settings>() as Settings;

  readonly #backend: Backend;

  constructor(backend: Backend, stored: Settings) {
    this.#backend = backend;
    this.current = stored;
  }

  listen(): () => void {
    return this.#backend.on('settings', (settings) => (this.current = settings));
  }

  async change(change: SettingsChange): Promise<void> {
    this.current = await this.#backend.changeSettings(change);
  }
}
