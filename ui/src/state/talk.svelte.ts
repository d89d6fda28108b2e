import type { Backend, Conversation, Message, RecentCall } from '../backend';

/** How many messages the program tells at once. */
const PAGE = 50;

/** What was written, and who called. */
export class TalkStore {
  conversations = $state.raw<readonly Conversation[]>([]);
  recent = $state.raw<readonly RecentCall[]>([]);
  /** The messages of whoever is open, oldest first. */
  messages = $state.raw<readonly Message[]>([]);
  /** Whether there are older ones than these. */
  hasOlder = $state(false);
  /** Whose messages are open: their id. */
  open = $state<string | null>(null);

  readonly #backend: Backend;
  /** What was started last: an answer that comes later than the next question is old. */
  #asked = 0;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  readonly #unread = $derived(
    new Map(this.conversations.map(({ with: { user }, unread }) => [user, unread])),
  );

  /** How many messages of somebody one has not seen. */
  unread(user: string): number {
    return this.#unread.get(user) ?? 0;
  }

  get missed(): number {
    return this.recent.filter(({ seen }) => !seen).length;
  }

  listen(): () => void {
    const stops = [
      this.#backend.on('messages_changed', () => void this.refresh()),
      this.#backend.on('recent_calls_changed', () => void this.#loadCalls()),
    ];
    return () => stops.forEach((stop) => stop());
  }

  /** Shows all there is of whoever is signed in; nothing where that is nobody. */
  async load(): Promise<void> {
    await Promise.all([this.refresh(), this.#loadCalls()]);
  }

  clear() {
    [this.conversations, this.recent, this.messages, this.open, this.hasOlder] = [[], [], [], null, false];
  }

  async #loadCalls() {
    this.recent = await this.#backend.recentCalls();
  }

  async refresh() {
    const [asked, user] = [++this.#asked, this.open];
    const [conversations, newest] = await Promise.all([
      this.#backend.conversations(),
      user ? this.#backend.messages(user, null) : [],
    ]);
    if (asked !== this.#asked) return;
    this.conversations = conversations;
    if (!user || this.open !== user) return;
    // Older ones that were asked for stay.
    const first = newest[0];
    const at = first ? this.messages.findIndex(({ message }) => message === first.message) : -1;
    if (at < 0) this.hasOlder = newest.length === PAGE;
    this.messages = at > 0 ? [...this.messages.slice(0, at), ...newest] : newest;
  }

  /** Opens what was written with somebody; nobody's with `null`. */
  async show(user: string | null) {
    [this.open, this.messages, this.hasOlder] = [user, [], false];
    if (user) await this.refresh();
  }

  async older() {
    const [user, first] = [this.open, this.messages[0]];
    if (!user || !first) return;
    const older = await this.#backend.messages(user, first.message);
    if (this.open !== user || this.messages[0]?.message !== first.message) return;
    this.hasOlder = older.length === PAGE;
    this.messages = [...older, ...this.messages];
  }

  write(text: string) {
    return this.open ? this.#backend.writeMessage(this.open, text) : Promise.resolve();
  }

  /** The person has seen what is open. */
  async seen() {
    if (this.open && this.unread(this.open) > 0) await this.#backend.messagesSeen(this.open);
  }

  async callsSeen() {
    if (this.missed > 0) await this.#backend.recentCallsSeen();
  }
}
