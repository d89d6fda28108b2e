import {
  toProblem,
  type AnyProblem,
  type Backend,
  type Check,
  type CheckResult,
  type DoctorReport,
  type Progress,
} from '../backend';

/** How it stands with one thing that is looked at. */
export type Standing = 'waiting' | 'running' | 'skipped' | CheckResult;

/** In the order in which they are looked at. */
export const CHECKS: readonly Check[] = [
  'name',
  'server',
  'clock',
  'session',
  'udp',
  'relays',
  'nat',
  'path',
  'call',
];

/** The examination of what keeps calls from connecting: the one that runs, or else what the last one found. */
export class CheckStore {
  running = $state(false);
  report = $state.raw<DoctorReport | null>(null);
  /** Why there is no report. */
  problem = $state.raw<AnyProblem | null>(null);
  /** The server that was looked at last; null for the one where somebody is signed in. */
  server: string | null = null;

  #known = $state.raw<Partial<Record<Check, 'running' | CheckResult>>>({});
  readonly #backend: Backend;
  /** What comes of an earlier run than this is old. */
  #run = 0;
  /** A run must not be called off by the stop of the one before. */
  #stopped: Promise<void> = Promise.resolve();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  listen(): () => void {
    return this.#backend.on('connection_check', (progress) => this.#take(progress));
  }

  standing(check: Check): Standing {
    const known = this.#known[check];
    if (known) return known === 'running' && !this.running ? 'unknown' : known;
    // They come in order: what has been passed over does not come any more.
    const passed = CHECKS.slice(CHECKS.indexOf(check)).some((later) => this.#known[later]);
    return this.running && !passed ? 'waiting' : 'skipped';
  }

  async begin(server: string | null = null): Promise<void> {
    const run = ++this.#run;
    [this.server, this.running, this.report, this.problem, this.#known] = [server, true, null, null, {}];
    try {
      await this.#stopped;
      if (run !== this.#run) return;
      const report = await this.#backend.checkConnection(server);
      if (run === this.#run) this.report = report;
    } catch (error) {
      if (run === this.#run) this.problem = toProblem(error);
    }
    if (run === this.#run) this.running = false;
  }

  async stop(): Promise<void> {
    if (!this.running) return;
    this.#run++;
    this.running = false;
    const stopping = this.#backend.stopConnectionCheck();
    this.#stopped = stopping.catch(() => undefined);
    await stopping;
  }

  #take(progress: Progress) {
    const { check } = progress;
    this.#known = { ...this.#known, [check]: progress.kind === 'began' ? 'running' : progress.result };
  }
}
