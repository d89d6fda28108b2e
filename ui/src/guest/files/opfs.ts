import type { Disk } from './engine';

/** Files open at once; the one that was written to the longest ago is closed. */
const MOST_OPEN = 32;
/** Left for whatever else the page keeps. */
const RESERVE = 16 * 1024 * 1024;

/** What workers have (File System standard), which the library of types for pages does not know. */
interface SyncAccessHandle {
  write: (bytes: Uint8Array, options: { at: number }) => number;
  flush: () => void;
  close: () => void;
}

type FileHandle = FileSystemFileHandle & { createSyncAccessHandle: () => Promise<SyncAccessHandle> };

/** Files that come are kept in the browser's own storage until whoever looks saves them: memory does not grow with them. */
export class BrowserStorage implements Disk {
  readonly #folder: FileSystemDirectoryHandle;
  /** Those that are written, the latest last. */
  readonly #open = new Map<string, SyncAccessHandle>();
  /** Those of which something is there, and not all. */
  readonly #unfinished = new Set<string>();

  private constructor(folder: FileSystemDirectoryHandle) {
    this.#folder = folder;
  }

  /** A place of this page's own; what pages that are gone have left goes. */
  static async open(): Promise<BrowserStorage> {
    const root = await navigator.storage.getDirectory();
    const all = await root.getDirectoryHandle('transfers', { create: true });
    const mine = crypto.randomUUID();
    // Held for as long as this page is there.
    await new Promise<void>((held, failed) => {
      const forever = () => (held(), new Promise(() => undefined));
      navigator.locks.request(mine, forever).catch(failed);
    });
    const names: string[] = [];
    for await (const name of (all as unknown as { keys: () => AsyncIterable<string> }).keys())
      names.push(name);
    for (const name of names) {
      await navigator.locks.request(name, { ifAvailable: true }, async (lock) => {
        if (lock) await all.removeEntry(name, { recursive: true }).catch(() => undefined);
      });
    }
    return new BrowserStorage(await all.getDirectoryHandle(mine, { create: true }));
  }

  async begin(id: string, bytes: number): Promise<void> {
    const { quota = 0, usage = 0 } = await navigator.storage.estimate();
    if (bytes + RESERVE > quota - usage) throw new DOMException('there is no space', 'QuotaExceededError');
    await this.#folder.getDirectoryHandle(id, { create: true });
  }

  async write(id: string, file: number, start: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const handle = await this.#handle(id, file);
    const written = handle.write(bytes, { at: start });
    if (written !== bytes.length) throw new DOMException('there is no space', 'QuotaExceededError');
  }

  async finish(id: string, file: number, path: string): Promise<File> {
    // One without content was never written to.
    const handle = await this.#handle(id, file);
    handle.flush();
    this.#close(`${id}/${file}`);
    this.#unfinished.delete(`${id}/${file}`);
    const whole = await (await this.#entry(id, file)).getFile();
    // Its name here is a number.
    return new File([whole], path.split('/').at(-1) ?? path);
  }

  async remove(id: string, file: number): Promise<void> {
    this.#close(`${id}/${file}`);
    this.#unfinished.delete(`${id}/${file}`);
    const folder = await this.#folder.getDirectoryHandle(id);
    await folder.removeEntry(String(file));
  }

  async abandon(id: string): Promise<void> {
    // What is complete is not open any more.
    const parts = [...this.#unfinished].filter((key) => key.startsWith(`${id}/`));
    for (const key of parts) await this.remove(id, Number(key.split('/')[1])).catch(() => undefined);
  }

  async #entry(id: string, file: number): Promise<FileHandle> {
    const folder = await this.#folder.getDirectoryHandle(id, { create: true });
    return (await folder.getFileHandle(String(file), { create: true })) as FileHandle;
  }

  async #handle(id: string, file: number): Promise<SyncAccessHandle> {
    const key = `${id}/${file}`;
    let handle = this.#open.get(key);
    this.#open.delete(key);
    this.#unfinished.add(key);
    handle ??= await (await this.#entry(id, file)).createSyncAccessHandle();
    this.#open.set(key, handle);
    const [oldest] = this.#open.keys();
    if (this.#open.size > MOST_OPEN && oldest !== undefined) this.#close(oldest);
    return handle;
  }

  #close(key: string) {
    this.#open.get(key)?.close();
    this.#open.delete(key);
  }
}
