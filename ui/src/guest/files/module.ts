import type { FileView, TransferView } from '../../backend';

/** What crates/transfer-web gives out (its exports.rs). */
interface Exports {
  memory: WebAssembly.Memory;
  message_in: (length: number) => number;
  message_out: () => number;
  open: () => number;
  close: (end: number) => void;
  handle: (end: number, now: number) => number;
  next: (end: number) => number;
  next_wakeup: (end: number) => number;
}

/** Why something can't be done with a file, as in docs/file-transfer.md. */
export type Reason = 'no_space' | 'unreadable' | 'changed' | 'gone' | 'unwritable' | 'other';

/** A file or folder that is given; `folder` is the number of the one that it is in. */
export interface NewEntry {
  name: string;
  folder?: number;
  size?: number;
  modified?: number;
}

interface Chunk {
  id: string;
  file: number;
  number: number;
}

/** What happens (messages.rs of the module). */
export type Input =
  | { do: 'connected' | 'lost' | 'said' | 'chunk' | 'wake' }
  | { do: 'room'; bytes: number }
  | { do: 'give'; id: string; entries: NewEntry[] }
  | { do: 'accept'; id: string; files: number[] | null }
  | { do: 'decline' | 'dismiss' | 'files'; id: string }
  | { do: 'pause' | 'resume' | 'cancel'; id: string; file: number | null }
  | ({ do: 'read' | 'written'; failed?: Reason } & Chunk)
  | { do: 'begun'; id: string; failed?: Reason }
  | { do: 'finished'; id: string; file: number; failed?: Reason };

/** What is to be done. */
export type Output =
  | { do: 'say' | 'send' }
  | ({ do: 'read'; start: number; length: number } & Chunk)
  | { do: 'begin'; id: string; bytes: number }
  | ({ do: 'write'; start: number } & Chunk)
  | { do: 'finish'; id: string; file: number; path: string; size: number }
  | { do: 'not_given'; id: string; why: string }
  | { do: 'remove'; id: string; file: number }
  | { do: 'forget'; id: string }
  | { do: 'changed'; view: TransferView }
  | { do: 'files'; id: string; files: FileView[] };

const NOTHING = new Uint8Array(0);
/** The text of a message follows its length. */
const LENGTH = 4;

/** What decides about file transfers: the same as in Ahoy's programs, built for browsers. */
export class Module {
  readonly #exports: Exports;

  private constructor(exports: Exports) {
    this.#exports = exports;
  }

  static async load(code: BufferSource): Promise<Module> {
    const { instance } = await WebAssembly.instantiate(code);
    return new Module(instance.exports as unknown as Exports);
  }

  /** Somebody to give files to, and to get some of. Views call them `person`. */
  open(person: string): End {
    this.#put(new TextEncoder().encode(person));
    return new End(this.#exports, this.#exports.open());
  }

  #put(bytes: Uint8Array) {
    const at = this.#exports.message_in(bytes.length);
    new Uint8Array(this.#exports.memory.buffer, at, bytes.length).set(bytes);
  }
}

/** One end of all transfers with somebody. */
export class End {
  readonly #exports: Exports;
  readonly #number: number;

  constructor(exports: Exports, number: number) {
    this.#exports = exports;
    this.#number = number;
  }

  /** Takes in what happens. `now` counts milliseconds, from anywhere. */
  tell(input: Input, now: number, bytes: Uint8Array = NOTHING) {
    const text = new TextEncoder().encode(JSON.stringify(input));
    const length = LENGTH + text.length + bytes.length;
    const at = this.#exports.message_in(length);
    // Memory that has grown is somewhere else.
    const message = new Uint8Array(this.#exports.memory.buffer, at, length);
    new DataView(message.buffer, at).setUint32(0, text.length, true);
    message.set(text, LENGTH);
    message.set(bytes, LENGTH + text.length);
    if (this.#exports.handle(this.#number, now) !== 0)
      throw new Error(`the module does not know ${input.do}`);
  }

  /** The next thing that is to be done, with its bytes. */
  next(): [Output, Uint8Array<ArrayBuffer>] | undefined {
    const length = this.#exports.next(this.#number);
    if (length === 0) return undefined;
    const at = this.#exports.message_out();
    // A copy: what is there now is another message soon.
    const message = new Uint8Array(this.#exports.memory.buffer, at, length).slice();
    const text = new DataView(message.buffer).getUint32(0, true);
    const output = JSON.parse(new TextDecoder().decode(message.subarray(LENGTH, LENGTH + text))) as Output;
    return [output, message.slice(LENGTH + text)];
  }

  /** When to tell that time has passed, though nothing happens. */
  get wakeup(): number | undefined {
    const at = this.#exports.next_wakeup(this.#number);
    return at < 0 ? undefined : at;
  }

  close() {
    this.#exports.close(this.#number);
  }
}
