import type { DeskEvents } from '.';

type Handler<Kind extends keyof DeskEvents> = (data: DeskEvents[Kind]) => void;

/** Passes events on to whoever listens. */
export class Events {
  readonly #handlers: { [Kind in keyof DeskEvents]?: Set<Handler<Kind>> } = {};

  on = <Kind extends keyof DeskEvents>(kind: Kind, handle: Handler<Kind>): (() => void) => {
    const handlers: Set<Handler<Kind>> = (this.#handlers[kind] ??= new Set<never>());
    handlers.add(handle);
    return () => handlers.delete(handle);
  };

  emit<Kind extends keyof DeskEvents>(kind: Kind, data: DeskEvents[Kind]) {
    for (const handle of this.#handlers[kind] ?? []) handle(data);
  }
}
