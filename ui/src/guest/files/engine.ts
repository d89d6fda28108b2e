import type { FileView, TransferView } from '../../backend';
import type { End, Input, Module, NewEntry, Output, Reason } from './module';

/** Chunks that wait for the network, in bytes: half a second of 16 Mb/s. */
const AHEAD = 1024 * 1024;

/** Where files are while they come. */
export interface Disk {
  /** Makes room; fails where there is none. */
  begin: (id: string, bytes: number) => Promise<void>;
  write: (id: string, file: number, start: number, bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
  /** All of it is there. */
  finish: (id: string, file: number, path: string) => Promise<File>;
  /** Throws away what is there of a file. */
  remove: (id: string, file: number) => Promise<void>;
  /** Throws away what is not complete of a transfer. */
  abandon: (id: string) => Promise<void>;
}

/** What a page is told. */
export type ToPage =
  | { type: 'say'; person: string; text: string }
  | { type: 'send'; person: string; bytes: ArrayBuffer }
  | { type: 'changed'; view: TransferView }
  | { type: 'files'; id: string; files: FileView[] }
  | { type: 'not_given'; id: string; why: string }
  | { type: 'here'; id: string; path: string; file: File }
  /** Something that can't happen did; files are not to be had any more. */
  | { type: 'broken'; why: string };

/** What a page tells. */
export type FromPage =
  | { type: 'connected' | 'lost' | 'gone'; person: string }
  | { type: 'said'; person: string; text: string }
  | { type: 'chunk'; person: string; bytes: ArrayBuffer }
  /** So much waits for the network, and so much of what was to be sent was sent. */
  | { type: 'sent'; person: string; bytes: number; waiting: number }
  | { type: 'give'; person: string; id: string; entries: NewEntry[]; files: (File | null)[] }
  | { type: 'wish'; wish: Extract<Input, { id: string }> };

type Job = Extract<Output, { do: 'read' | 'begin' | 'write' | 'finish' | 'remove' | 'forget' }>;

interface Person {
  end: End;
  /** What the page has got to send and has not said that it is sent. */
  underWay: number;
  waiting: number;
  /** Files that are given, by transfer. */
  given: Map<string, (File | null)[]>;
  /** Jobs of one transfer come one after the other. */
  jobs: Map<string, Promise<void>>;
  alarm: ReturnType<typeof setTimeout> | undefined;
}

/** Why the browser can't do something with a file. */
export function reasonOf(error: unknown, otherwise: Reason): Reason {
  const name = error instanceof DOMException ? error.name : '';
  if (name === 'QuotaExceededError') return 'no_space';
  if (name === 'NotFoundError') return 'gone';
  return otherwise;
}

/** All transfers of a page: what the module decides, carried out. It runs in a worker. */
export class Engine {
  readonly #module: Module;
  readonly #disk: Disk;
  readonly #tell: (message: ToPage, transfer?: Transferable[]) => void;
  readonly #people = new Map<string, Person>();
  /** Whose each transfer is. */
  readonly #owners = new Map<string, string>();

  constructor(module: Module, disk: Disk, tell: (message: ToPage, transfer?: Transferable[]) => void) {
    this.#module = module;
    this.#disk = disk;
    this.#tell = tell;
  }

  hear(message: FromPage) {
    switch (message.type) {
      case 'connected': {
        const person = this.#person(message.person);
        [person.underWay, person.waiting] = [0, 0];
        this.#put(message.person, { do: 'connected' });
        return this.#look(message.person);
      }
      case 'gone':
        return this.#forget(message.person);
      case 'lost':
        return this.#put(message.person, { do: 'lost' });
      case 'said':
        return this.#put(message.person, { do: 'said' }, new TextEncoder().encode(message.text));
      case 'chunk':
        return this.#put(message.person, { do: 'chunk' }, new Uint8Array(message.bytes));
      case 'sent': {
        const person = this.#people.get(message.person);
        if (!person) return;
        person.underWay = Math.max(0, person.underWay - message.bytes);
        person.waiting = message.waiting;
        return this.#look(message.person);
      }
      case 'give':
        this.#person(message.person).given.set(message.id, message.files);
        this.#owners.set(message.id, message.person);
        return this.#put(message.person, { do: 'give', id: message.id, entries: message.entries });
      case 'wish': {
        const owner = this.#owners.get(message.wish.id);
        if (owner !== undefined) this.#put(owner, message.wish);
        return;
      }
    }
  }

  #person(name: string): Person {
    let person = this.#people.get(name);
    if (!person) {
      const [given, jobs] = [new Map<string, (File | null)[]>(), new Map<string, Promise<void>>()];
      person = { end: this.#module.open(name), underWay: 0, waiting: 0, given, jobs, alarm: undefined };
      this.#people.set(name, person);
    }
    return person;
  }

  #forget(name: string) {
    const person = this.#people.get(name);
    if (!person) return;
    clearTimeout(person.alarm);
    person.end.close();
    this.#people.delete(name);
    for (const [id, owner] of this.#owners) {
      if (owner !== name) continue;
      this.#owners.delete(id);
      // What is complete stays until the page goes: it may not have been saved yet.
      const remove = () => this.#disk.abandon(id).catch(() => undefined);
      void (person.jobs.get(id) ?? Promise.resolve()).then(remove, remove);
    }
  }

  /** How much more may wait for the network. */
  #look(name: string) {
    const person = this.#people.get(name);
    if (!person) return;
    const { underWay, waiting } = person;
    this.#put(name, { do: 'room', bytes: Math.max(0, AHEAD - underWay - waiting) });
  }

  /** Of somebody who is gone things come late. */
  #put(name: string, input: Input, bytes?: Uint8Array) {
    const person = this.#people.get(name);
    if (!person) return;
    person.end.tell(input, performance.now(), bytes);
    for (let next = person.end.next(); next; next = person.end.next()) this.#do(name, person, ...next);
    this.#wake(name, person);
  }

  #wake(name: string, person: Person) {
    clearTimeout(person.alarm);
    const { wakeup } = person.end;
    if (wakeup === undefined) return;
    person.alarm = setTimeout(
      () => this.#people.get(name) === person && this.#put(name, { do: 'wake' }),
      Math.max(0, wakeup - performance.now()),
    );
  }

  #do(name: string, person: Person, output: Output, bytes: Uint8Array<ArrayBuffer>) {
    switch (output.do) {
      case 'say':
        return this.#tell({ type: 'say', person: name, text: new TextDecoder().decode(bytes) });
      case 'send':
        person.underWay += bytes.length;
        return this.#tell({ type: 'send', person: name, bytes: bytes.buffer }, [bytes.buffer]);
      case 'changed': {
        const { id } = output.view;
        const owner = this.#owners.get(id) ?? name;
        // Somebody else's transfer: nobody is to get at that by knowing what it is called.
        if (owner !== name) return void queueMicrotask(() => this.#refuse(name, id));
        this.#owners.set(id, name);
        return this.#tell({ type: 'changed', view: output.view });
      }
      case 'not_given':
        person.given.delete(output.id);
        this.#owners.delete(output.id);
        return this.#tell({ type: 'not_given', id: output.id, why: output.why });
      case 'files':
        return this.#tell({ type: 'files', id: output.id, files: output.files });
      default:
        return this.#work(name, person, output, bytes);
    }
  }

  #refuse(name: string, id: string) {
    if (this.#people.has(name)) this.#put(name, { do: 'decline', id });
  }

  /** Does something with files, after what was to be done before of the same transfer. */
  #work(name: string, person: Person, job: Job, bytes: Uint8Array<ArrayBuffer>) {
    const before = person.jobs.get(job.id) ?? Promise.resolve();
    const done = before
      .then(() => this.#carryOut(person, job, bytes))
      .then((answer) => {
        if (answer && this.#people.get(name) === person) this.#put(name, answer[0], answer[1]);
      })
      .catch((error: unknown) => this.#tell({ type: 'broken', why: String(error) }))
      .then(() => {
        if (person.jobs.get(job.id) === done) person.jobs.delete(job.id);
      });
    person.jobs.set(job.id, done);
  }

  async #carryOut(
    person: Person,
    job: Job,
    bytes: Uint8Array<ArrayBuffer>,
  ): Promise<[Input, Uint8Array?] | undefined> {
    switch (job.do) {
      case 'read': {
        const { id, file, number } = job;
        try {
          const part = person.given.get(id)?.[file]?.slice(job.start, job.start + job.length);
          if (!part) return [{ do: 'read', id, file, number, failed: 'gone' }];
          return [{ do: 'read', id, file, number }, new Uint8Array(await part.arrayBuffer())];
        } catch (error) {
          // Browsers say so of a file that is another than when it was picked.
          const name = error instanceof DOMException ? error.name : '';
          const failed = name === 'NotReadableError' ? 'changed' : reasonOf(error, 'unreadable');
          return [{ do: 'read', id, file, number, failed }];
        }
      }
      case 'begin': {
        const failed = await failure(this.#disk.begin(job.id, job.bytes));
        return [{ do: 'begun', id: job.id, ...failed }];
      }
      case 'write': {
        const { id, file, number, start } = job;
        const failed = await failure(this.#disk.write(id, file, start, bytes));
        return [{ do: 'written', id, file, number, ...failed }];
      }
      case 'finish': {
        const { id, file, path } = job;
        try {
          const whole = await this.#disk.finish(id, file, path);
          this.#tell({ type: 'here', id, path, file: whole });
          return [{ do: 'finished', id, file }];
        } catch (error) {
          return [{ do: 'finished', id, file, failed: reasonOf(error, 'unwritable') }];
        }
      }
      case 'remove':
        await this.#disk.remove(job.id, job.file).catch(() => undefined);
        return undefined;
      case 'forget':
        person.given.delete(job.id);
        await this.#disk.abandon(job.id).catch(() => undefined);
        return undefined;
    }
  }
}

async function failure(done: Promise<void>): Promise<{ failed?: Reason }> {
  try {
    await done;
    return {};
  } catch (error) {
    return { failed: reasonOf(error, 'unwritable') };
  }
}
