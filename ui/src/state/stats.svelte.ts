import type { CallStats } from '../backend';

/** One minute at two a second: what a graph's width stands for. */
export const SAMPLES = 120;

/** The last minute of a call's numbers. */
export class StatsHistory {
  samples = $state.raw<readonly CallStats[]>([]);

  get latest(): CallStats | undefined {
    return this.samples.at(-1);
  }

  add(stats: CallStats) {
    this.samples = [...this.samples.slice(1 - SAMPLES), stats];
  }

  clear() {
    this.samples = [];
  }
}
