/// <reference lib="webworker" />
import { Engine, type FromPage, type ToPage } from './engine';
import { Module } from './module';
import { BrowserStorage } from './opfs';

declare const self: DedicatedWorkerGlobalScope;

/** What comes before everything is there; nothing is kept once it is known that it never will be. */
let early: FromPage[] | undefined = [];
let engine: Engine | undefined;

self.onmessage = ({ data }: MessageEvent<FromPage>) => {
  if (engine) engine.hear(data);
  else early?.push(data);
};

async function start() {
  const code = await fetch(new URL('../../../wasm/transfer.wasm', import.meta.url));
  if (!code.ok) throw new Error(`the module is not there: ${code.status}`);
  const [module, disk] = await Promise.all([
    code.arrayBuffer().then((bytes) => Module.load(bytes)),
    BrowserStorage.open(),
  ]);
  engine = new Engine(module, disk, (message, transfer) => self.postMessage(message, transfer ?? []));
  for (const message of early ?? []) engine.hear(message);
  early = undefined;
}

start().catch((error: unknown) => {
  early = undefined;
  self.postMessage({ type: 'broken', why: String(error) } satisfies ToPage);
});
