import type { Backend, FileView, LeftOutFile, PickedFiles, TransferView } from '../backend';

/** Files to and from contacts. */
export class TransfersStore {
  /** The newest first. */
  all = $state.raw<readonly TransferView[]>([]);
  /** What somebody wants to send and has not said to whom. */
  picked = $state.raw<PickedFiles | null>(null);
  /** Whom something is being picked for: their id. */
  to = $state<string | null>(null);
  /** What of the last transfer is not sent: the first of it, and how much there is. */
  leftOut = $state.raw<{ files: readonly LeftOutFile[]; count: number } | null>(null);
  /** Files are dragged over the window. */
  dragged = $state(false);
  /** Whether the list is open. */
  open = $state(false);

  readonly #backend: Backend;
  /** Whether what goes on since before is known: that is no news. */
  #loaded = false;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Those that wait for an answer of whoever looks. */
  get offers(): readonly TransferView[] {
    return this.all.filter(({ way, stage }) => way === 'received' && stage === 'offered');
  }

  get over(): readonly TransferView[] {
    return this.all.filter(({ stage }) => stage === 'ended');
  }

  /** How much of all that moves is there, from 0 to 1; `null` where nothing moves. */
  get share(): number | null {
    const going = this.all.filter(({ stage }) => stage === 'going');
    if (going.length === 0) return null;
    const sum = (of: (view: TransferView) => number) => going.reduce((total, view) => total + of(view), 0);
    const bytes = sum((view) => view.bytes);
    return bytes === 0 ? 1 : sum((view) => view.moved) / bytes;
  }

  listen(): () => void {
    const stops = [
      this.#backend.on('transfer', (view) => this.#put(view)),
      this.#backend.on('files_dragged', (dragged) => (this.dragged = dragged)),
    ];
    return () => stops.forEach((stop) => stop());
  }

  async load() {
    const all = await this.#backend.transfers();
    // What was heard meanwhile is newer.
    const heard = new Set(this.all.map(({ id }) => id));
    this.all = [...this.all, ...all.filter(({ id }) => !heard.has(id))];
    this.#loaded = true;
  }

  clear() {
    [this.all, this.picked, this.to, this.leftOut, this.open] = [[], null, null, null, false];
    this.#loaded = false;
  }

  #put(view: TransferView) {
    const known = this.all.some(({ id }) => id === view.id);
    // What is new is what one wants to see.
    if (!known && this.#loaded) this.open = true;
    this.all = known ? this.all.map((old) => (old.id === view.id ? view : old)) : [view, ...this.all];
  }

  files(id: string): Promise<FileView[]> {
    return this.#backend.transferFiles(id);
  }

  /** Nothing is sent. */
  async forget() {
    [this.picked, this.to] = [null, null];
    await this.#backend.forgetPicked();
  }

  async dismiss(views: readonly TransferView[]) {
    const gone = new Set(views.map(({ id }) => id));
    this.all = this.all.filter(({ id }) => !gone.has(id));
    // One that is forgotten already is put away as well.
    for (const id of gone) await this.#backend.dismissTransfer(id).catch(() => undefined);
  }
}
