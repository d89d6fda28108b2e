import type { Backend, CallSnapshot, CallSummary } from '../backend';
import { carriesSoundOnly } from './quality';
import { StatsHistory } from './stats.svelte';

/** The call that is under way, and what the last one was worth. */
export class CallStore {
  /** Null while there is no call. */
  snapshot = $state.raw<CallSnapshot | null>(null);
  summary = $state.raw<CallSummary | null>(null);
  readonly history = new StatsHistory();

  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  get active(): boolean {
    return this.snapshot !== null;
  }

  /** Whether the camera is wanted. */
  get cameraOn(): boolean {
    return this.snapshot?.camera.standing !== 'off';
  }

  /** Whether the camera is on and nobody sees its pictures for now: the connection carries nothing but sound. */
  get paused(): boolean {
    const { latest } = this.history;
    return this.snapshot?.camera.standing === 'on' && latest !== undefined && carriesSoundOnly(latest);
  }

  /** Seconds since the two ends were connected; null until they are. */
  get seconds(): number | null {
    const { latest } = this.history;
    return latest && this.snapshot && this.snapshot.phase !== 'connecting' ? latest.at_ms / 1000 : null;
  }

  listen(): () => void {
    const stops = [
      this.#backend.on('call', (snapshot) => (this.snapshot = snapshot)),
      this.#backend.on('stats', (stats) => this.history.add(stats)),
      // It may end without a press in this window.
      this.#backend.on('ended', (summary) => this.#end(summary)),
    ];
    return () => stops.forEach((stop) => stop());
  }

  /** Forgets the call before. */
  begin() {
    this.summary = null;
    this.history.clear();
  }

  async start(): Promise<void> {
    this.begin();
    await this.#backend.startTestCall();
  }

  async hangUp(): Promise<void> {
    const summary = await this.#backend.hangUp();
    // Without one the event brings it, or has brought it.
    if (summary) this.#end(summary);
  }

  toggleMuted(): Promise<void> {
    return this.#backend.setMuted(!this.snapshot?.muted);
  }

  toggleCamera(): Promise<void> {
    return this.#backend.setCameraOn(!this.cameraOn);
  }

  #end(summary: CallSummary | null) {
    this.summary = summary;
    this.snapshot = null;
  }
}
