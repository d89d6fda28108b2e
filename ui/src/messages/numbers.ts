import type { Messages } from '.';

/** Seconds that each has, the largest first. */
const UNITS = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const;

/** Bytes that each has, the largest first: a thousand of the one below, as disks and networks count. */
const SIZES = [
  ['terabyte', 1e12],
  ['gigabyte', 1e9],
  ['megabyte', 1e6],
  ['kilobyte', 1e3],
  ['byte', 1],
] as const;

/** Numbers with their units, as the language writes them. */
export class Numbers {
  readonly #language: string;
  readonly #units: Messages['units'];

  constructor(language: string, units: Messages['units']) {
    this.#language = language;
    this.#units = units;
  }

  fps = (value: number | null) =>
    value === null ? this.#units.notMeasured : this.#units.fps(this.#digits(value));

  milliseconds = (value: number | null) =>
    value === null ? this.#units.notMeasured : this.#units.milliseconds(this.#digits(value));

  /** For stages, where a tenth of a millisecond counts. */
  fineMilliseconds = (value: number) => this.#units.milliseconds(this.#digits(value, value < 10 ? 1 : 0));

  bitrate = (kilobits: number | null) => {
    if (kilobits === null) return this.#units.notMeasured;
    return kilobits < 1000
      ? this.#units.kilobits(this.#digits(kilobits))
      : this.#units.megabits(this.#digits(kilobits / 1000, 1));
  };

  percent = (value: number) =>
    (value / 100).toLocaleString(this.#language, {
      style: 'percent',
      maximumFractionDigits: value < 10 ? 1 : 0,
    });

  megabytes = (value: number) => this.#units.megabytes(this.#digits(value));

  bytes = (value: number) => this.#size(value, '');

  /** Bytes in a second. */
  speed = (value: number) => this.#size(value, '-per-second');

  #size(value: number, per: '' | '-per-second'): string {
    const [unit, size] = SIZES.find(([, size]) => value >= size) ?? ['byte', 1];
    return (value / size).toLocaleString(this.#language, {
      style: 'unit',
      unit: `${unit}${per}`,
      unitDisplay: 'short',
      maximumFractionDigits: value / size < 10 && size > 1 ? 1 : 0,
    });
  }

  count = (value: number | null) => (value === null ? this.#units.notMeasured : this.#digits(value));

  /** A time as people tell it: the hour for today, the day for this year, the date for what is longer ago. */
  moment(atMs: number, now = new Date()): string {
    const [at, hour] = [new Date(atMs), { hour: '2-digit', minute: '2-digit' } as const];
    if (at.toDateString() === now.toDateString()) return at.toLocaleTimeString(this.#language, hour);
    const year = at.getFullYear() === now.getFullYear() ? undefined : 'numeric';
    return at.toLocaleString(this.#language, { day: 'numeric', month: 'short', year, ...hour });
  }

  /** How long something is, roughly: in its largest unit. */
  span(seconds: number): string {
    const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? ['second', 1];
    return (seconds / size).toLocaleString(this.#language, {
      style: 'unit',
      unit,
      unitDisplay: 'long',
      maximumFractionDigits: 0,
    });
  }

  #digits(value: number, fraction = 0): string {
    return value.toLocaleString(this.#language, {
      minimumFractionDigits: fraction,
      maximumFractionDigits: fraction,
    });
  }
}

/** Seconds as a clock shows them: 0:07, 12:34, 1:00:05. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const rest = String(whole % 60).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}
