import type { Backend, CallsView, Contact, Credentials, NearbyCall, PeopleSnapshot } from '../backend';

/** Who is signed in, whom they know, and their calls. */
export class PeopleStore {
  snapshot = $state.raw<PeopleSnapshot>({ me: null, connection: 'none', contacts: [] });
  calls = $state.raw<CallsView>({ current: null, ringing: [] });
  /** Calls that are hosted on the network, while somebody looks. */
  nearby = $state.raw<readonly NearbyCall[]>([]);
  /** Told once, when an account was made: until the person has put them away. */
  recoveryCodes = $state.raw<readonly string[]>([]);

  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Those who ask to be a contact first: they wait for an answer. */
  get contacts(): readonly Contact[] {
    const asking = (contact: Contact) => contact.standing === 'asking';
    const { contacts } = this.snapshot;
    return [...contacts.filter(asking), ...contacts.filter((contact) => !asking(contact))];
  }

  listen(): () => void {
    const stops = [
      this.#backend.on('people', (snapshot) => (this.snapshot = snapshot)),
      this.#backend.on('calls', (calls) => (this.calls = calls)),
      this.#backend.on('nearby', (nearby) => (this.nearby = nearby)),
    ];
    return () => stops.forEach((stop) => stop());
  }

  async load(): Promise<void> {
    this.snapshot = await this.#backend.people();
    this.calls = await this.#backend.calls();
    if (!this.snapshot.me) await this.#backend.resumeSignIn();
  }

  /** Looks for calls on the network until the returned function is called. Without a network there are none. */
  lookNearby(): () => void {
    void this.#backend.lookNearby().catch(() => undefined);
    return () => void this.#backend.stopLookingNearby().catch(() => undefined);
  }

  async signIn(given: Credentials): Promise<void> {
    await this.#backend.signIn(given);
  }

  async signUp(given: Credentials): Promise<void> {
    this.recoveryCodes = await this.#backend.signUp(given);
  }
}
