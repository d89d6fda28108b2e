import {
  problem,
  toProblem,
  type AnyProblem,
  type AppInfo,
  type Backend,
  type Contact,
  type Invitation,
  type PickedFiles,
  type Settings,
} from '../backend';
import { chooseMessages } from '../messages';
import { Numbers } from '../messages/numbers';
import { CallStore } from './call.svelte';
import { CheckStore } from './check.svelte';
import { DevicesStore } from './devices.svelte';
import { PeopleStore } from './people.svelte';
import { PreviewStore } from './preview.svelte';
import type { DeviceKind } from './remedies';
import { SelfViewStore } from './selfview.svelte';
import { SettingsStore } from './settings.svelte';
import { TalkStore } from './talk.svelte';
import { TransfersStore } from './transfers.svelte';

export type View = 'first-run' | 'home' | 'sign-in' | 'chat' | 'call' | 'summary' | 'settings';
export type SettingsPage = 'general' | 'audio' | 'video' | 'connection' | 'about';

/** Codes of what keeps a kind of device from being listed begin so. */
const REASONS: Record<DeviceKind, string> = { camera: 'camera_', microphone: 'sound_', speaker: 'sound_' };

/** What the window shows, and the stores it shows it from. */
export class App {
  view = $state<View>('home');
  page = $state<SettingsPage>('general');
  /** The command that failed last, until the person puts it away. */
  error = $state.raw<AnyProblem | null>(null);
  info = $state.raw<AppInfo | null>(null);
  /** A link that was opened, until the person has said whether they want to go there. */
  invitation = $state.raw<Invitation | null>(null);
  readonly #announced = new Set<string>();
  /** The web view can't decode H.264: Ahoy decodes for it. */
  #undecoded = $state(false);

  readonly backend: Backend;
  readonly settings: SettingsStore;
  readonly devices: DevicesStore;
  readonly call: CallStore;
  readonly preview: PreviewStore;
  readonly people: PeopleStore;
  readonly talk: TalkStore;
  readonly transfers: TransfersStore;
  readonly check: CheckStore;
  readonly selfView = new SelfViewStore();

  constructor(backend: Backend, settings: Settings) {
    this.backend = backend;
    this.settings = new SettingsStore(backend, settings);
    this.devices = new DevicesStore(backend);
    this.call = new CallStore(backend);
    this.preview = new PreviewStore(backend);
    this.people = new PeopleStore(backend);
    this.talk = new TalkStore(backend);
    this.transfers = new TransfersStore(backend);
    this.check = new CheckStore(backend);
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

  /** What keeps a device from being used: in the call or the preview, or before either is tried. */
  trouble(kind: DeviceKind): AnyProblem | null {
    if (this.call.snapshot) return this.call.snapshot[kind].trouble;
    if (kind === 'speaker') return this.preview.speakerTrouble ?? this.#absence(kind);
    const { standing, trouble } = this.preview.snapshot[kind];
    return standing === 'on' ? null : (trouble ?? this.#absence(kind));
  }

  /** Why the device that would be used is not in the list. */
  #absence(kind: DeviceKind): AnyProblem | null {
    if (!this.devices.known) return null;
    const found = this.devices.of(kind);
    const chosen = this.settings.current[kind];
    if (found.length === 0) {
      const reason = this.devices.current.problems.find(({ code }) => code.startsWith(REASONS[kind]));
      return reason ?? problem(`${kind}_missing`);
    }
    return chosen === null || found.some(({ id }) => id === chosen) ? null : problem(`${kind}_not_connected`);
  }

  /** Connects the stores with the program. The returned function ends it. */
  start(): () => void {
    const { settings, devices, call, preview, people, talk, transfers, check } = this;
    const stores = [settings, devices, call, preview, people, talk, transfers, check];
    const stops = [
      ...stores.map((store) => store.listen()),
      this.backend.on('failed', (problem) => (this.error = problem)),
      this.backend.on('invited', () => void this.#takeInvitation()),
      this.backend.on('calls', () => this.#announceCalls()),
      this.backend.on('transfer', () => this.#announceOffers()),
      this.backend.on('files_picked', (picked) => void this.#offerPicked(picked)),
    ];
    void this.run(() => this.devices.load());
    void this.run(() => this.people.load());
    const focused = () => this.refreshDevices();
    const blurred = () => {
      this.#announceCalls();
      this.#announceOffers();
    };
    window.addEventListener('focus', focused);
    window.addEventListener('blur', blurred);
    void this.#takeInvitation();
    void this.run(async () => {
      this.info = await this.backend.appInfo();
    });
    return () => {
      window.removeEventListener('focus', focused);
      window.removeEventListener('blur', blurred);
      stops.forEach((stop) => stop());
    };
  }

  /** Runs what a person asked for; a failure is shown, not thrown. Tells whether it worked. */
  async run(action: () => Promise<unknown>): Promise<boolean> {
    try {
      await action();
      return true;
    } catch (error) {
      this.error = toProblem(error);
      return false;
    }
  }

  /** Where nobody tells that devices came or went, they are looked for, and opened, when it matters. */
  refreshDevices() {
    if (this.info && !this.info.notices_devices) void this.retryDevices();
  }

  /** Tries again to open the devices that could not be opened. */
  async retryDevices(): Promise<void> {
    await this.run(() => this.backend.retryDevices());
    await this.run(() => this.devices.load());
  }

  /** The view follows when the program says that there is a call. */
  async startCall(): Promise<void> {
    this.error = null;
    await this.run(() => this.call.start());
  }

  /** The view follows when the program says that there is a call. */
  async callPerson(handle: string, video: boolean): Promise<void> {
    this.error = null;
    this.call.begin();
    await this.run(() => this.backend.call(handle, video));
  }

  /** Opens what was written with somebody. */
  async openChat(user: string): Promise<void> {
    this.error = null;
    this.view = 'chat';
    await this.run(() => this.talk.show(user));
  }

  closeChat() {
    void this.talk.show(null);
    this.view = 'home';
  }

  /** The view follows when the program says that there is a call. */
  async startLinkCall(): Promise<void> {
    this.error = null;
    this.call.begin();
    await this.run(() => this.backend.startLinkCall(true));
  }

  async #takeInvitation(): Promise<void> {
    await this.run(async () => {
      const invitation = await this.backend.takeInvitation();
      if (invitation) this.invitation = invitation;
    });
  }

  /** Calls that ring are shown by the system too while somebody looks at something else, once each. */
  #announceCalls() {
    const { ringing } = this.people.calls;
    const waiting = document.hasFocus() ? [] : ringing.filter(({ call }) => !this.#announced.has(call));
    const { accept, decline, calls, callsWithVideo } = this.text.people;
    for (const { call, name, video } of waiting) {
      this.#announced.add(call);
      const text = video ? callsWithVideo : calls;
      const about = { type: 'call', call, video } as const;
      void this.run(() => this.backend.announce({ about, title: name, text, accept, decline }));
    }
  }

  /** So are files that are offered. */
  #announceOffers() {
    const { offers } = this.transfers;
    const waiting = document.hasFocus() ? [] : offers.filter(({ id }) => !this.#announced.has(id));
    const { files } = this.text;
    for (const view of waiting) {
      this.#announced.add(view.id);
      const about = { type: 'files', transfer: view.id } as const;
      const title = files.offers(this.nameOf(view.person));
      const text = files.noticeText(view.names.join(', '), this.numbers.bytes(view.bytes));
      const { accept, decline } = files;
      void this.run(() => this.backend.announce({ about, title, text, accept, decline }));
    }
  }

  /** What somebody is called whose id is known. */
  nameOf(user: string): string {
    const contact = this.people.contacts.find((contact) => contact.user === user);
    return contact?.name ?? this.text.files.somebody;
  }

  /** Whoever gets what is dropped on the window: those one looks at. */
  get beside(): Contact | undefined {
    const user = this.view === 'call' ? this.people.calls.current?.user : this.talk.open;
    if (this.view !== 'call' && this.view !== 'chat') return undefined;
    return this.people.contacts.find((contact) => contact.user === user && contact.standing === 'contact');
  }

  /** Where it is known who gets what was picked it is offered to them; otherwise that is asked. */
  async #offerPicked(picked: PickedFiles): Promise<void> {
    const to = this.transfers.to ?? this.beside?.user;
    if (!this.people.snapshot.me) await this.transfers.forget();
    else if (to) await this.sendPicked(to);
    else this.transfers.picked = picked;
  }

  /** Offers what was picked to somebody. */
  async sendPicked(user: string): Promise<void> {
    const { transfers } = this;
    await this.run(async () => {
      const { left_out, left_out_count } = await this.backend.sendPicked(user);
      transfers.leftOut = left_out_count > 0 ? { files: left_out, count: left_out_count } : null;
      transfers.open = true;
    });
    [transfers.picked, transfers.to] = [null, null];
  }

  /** The view follows when the program says that there is a call. */
  async hostCall(): Promise<void> {
    this.error = null;
    const name = this.settings.current.name || (this.people.snapshot.me?.name ?? this.text.nearby.nameless);
    this.call.begin();
    await this.run(() => this.backend.startHostedCall(name, true));
  }

  openSettings(page: SettingsPage = 'general') {
    this.page = page;
    this.view = 'settings';
  }

  /** Examines what keeps calls from connecting, at the page that shows it. */
  async checkConnection(server: string | null = null): Promise<void> {
    this.error = null;
    this.openSettings('connection');
    await this.check.begin(server);
  }
}
