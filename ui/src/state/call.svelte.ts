import type { Backend, CallReport, CallSnapshot } from '../backend';
import { StatsHistory } from './stats.svelte';

/** The call that is under way, and what the last one was worth. */
export class CallStore {
  /** `undefined` before the first call. */
  snapshot = $state.raw<CallSnapshot>();
  report = $state.raw<CallReport | null>(null);
  /** When the call began, on the window's clock (`performance.now()`); null until it runs. */
  startedAt = $state<number | null>(null);
  /** Between the press and the report. */
  hangingUp = $state(false);
  readonly history = new StatsHistory();

  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  get active(): boolean {
    return this.snapshot !== undefined && this.snapshot.phase !== 'idle';
  }

  listen(): () => void {
    const stops = [
      this.#backend.on('call', (snapshot) => this.#take(snapshot)),
      this.#backend.on('stats', (stats) => this.history.add(stats)),
      // It may end without a press in this window.
      this.#backend.on('ended', (report) => (this.report = report)),
    ];
    return () => stops.forEach((stop) => stop());
  }

  async start(): Promise<void> {
    this.report = null;
    this.history.clear();
    this.#take(await this.#backend.startTestCall());
  }

  async hangUp(): Promise<void> {
    this.hangingUp = true;
    try {
      this.report = await this.#backend.hangUp();
    } finally {
      this.hangingUp = false;
    }
    if (this.snapshot) this.#take({ ...this.snapshot, phase: 'idle', started_ms_ago: null });
  }

  toggleMuted(): Promise<void> {
    return this.#backend.setMuted(!this.snapshot?.muted);
  }

  toggleCamera(): Promise<void> {
    return this.#backend.setCameraOn(!this.snapshot?.camera_on);
  }

  #take(snapshot: CallSnapshot) {
    this.snapshot = snapshot;
    const { started_ms_ago: ago } = snapshot;
    this.startedAt = ago === null ? null : performance.now() - ago;
  }
}
