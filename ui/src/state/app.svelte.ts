import {
  isCommandError,
  type AppInfo,
  type Backend,
  type CommandError,
  type Problem,
  type Settings,
} from '../backend';
import { chooseMessages } from '../messages';
import { Numbers } from '../messages/numbers';
import { CallStore } from './call.svelte';
import { DevicesStore } from './devices.svelte';
import { PreviewStore } from './preview.svelte';
import { SettingsStore } from './settings.svelte';

export type View = 'first-run' | 'home' | 'call' | 'summary' | 'settings';
export type SettingsPage = 'general' | 'audio' | 'video' | 'about';

/** What the window shows, and the stores it shows it from. */
export class App {
  view = $state<View>('home');
  page = $state<SettingsPage>('general');
  /** The command that failed last, until the person puts it away. */
  error = $state.raw<CommandError | null>(null);
  info = $state.raw<AppInfo | null>(null);
  /** The web view can't decode H.264: Ahoy decodes for it. */
  #undecoded = $state(false);

  readonly backend: Backend;
  readonly settings: SettingsStore;
  readonly devices: DevicesStore;
  readonly call: CallStore;
  readonly preview: PreviewStore;

  constructor(backend: Backend, settings: Settings) {
    this.backend = backend;
    this.settings = new SettingsStore(backend, settings);
    this.devices = new DevicesStore(backend);
    this.call = new CallStore(backend);
    this.preview = new PreviewStore(backend);
    if (!settings.first_run_done) this.view = 'first-run';
  }

  readonly #spoken = $derived.by(() => {
    const { language } = this.settings.current;
    return chooseMessages(language === 'system' ? navigator.languages : [language]);
  });

  readonly #numbers = $derived(new Numbers(this.#spoken.language, this.#spoken.messages.units));

  get numbers(): Numbers {
    return this.#numbers;
  }

  get language(): string {
    return this.#spoken.language;
  }

  get text() {
    return this.#spoken.messages;
  }

  h264Unavailable() {
    this.#undecoded = true;
  }

  /** Only on Linux is there a plug-in to install; other systems bring H.264 with their web view. */
  get h264Missing(): boolean {
    return this.#undecoded && this.info?.system === 'linux';
  }

  /** What is known to be missing before anything is tried. */
  get missing(): Problem[] {
    if (!this.devices.known) return [];
    const { cameras, microphones, speakers } = this.devices.current;
    const codes = [
      ...(cameras.length === 0 ? ['no_camera'] : []),
      ...(microphones.length === 0 ? ['no_microphone'] : []),
      ...(speakers.length === 0 ? ['no_speaker'] : []),
      ...(this.h264Missing ? ['h264_plugin_missing'] : []),
    ];
    return codes.map((code) => ({ code, message: '' }));
  }

  /** Connects the stores with the program. The returned function ends it. */
  start(): () => void {
    const stops = [this.settings, this.devices, this.call, this.preview].map((store) => store.listen());
    void this.run(() => this.devices.load());
    void this.run(async () => {
      this.info = await this.backend.appInfo();
    });
    return () => stops.forEach((stop) => stop());
  }

  /** Runs what a person asked for; a failure is shown, not thrown. Tells whether it worked. */
  async run(action: () => Promise<unknown>): Promise<boolean> {
    try {
      await action();
      return true;
    } catch (error) {
      this.error = isCommandError(error) ? error : { code: 'no_answer', message: String(error) };
      return false;
    }
  }

  async startCall(): Promise<void> {
    this.error = null;
    if (await this.run(() => this.call.start())) this.view = 'call';
  }

  async hangUp(): Promise<void> {
    if (await this.run(() => this.call.hangUp())) this.view = this.call.report ? 'summary' : 'home';
  }

  openSettings(page: SettingsPage = 'general') {
    this.page = page;
    this.view = 'settings';
  }
}
