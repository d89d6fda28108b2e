import type { Problem } from '../backend';
import type { Messages } from '.';

export interface Wording {
  title: string;
  text: string;
}

/** The window's own words for a problem; for a code it does not know, the program's sentence. */
export function wording(text: Messages, { code, message }: Problem): Wording {
  const known = text.problems as Record<string, { title: string; text?: string }>;
  const own = Object.hasOwn(known, code) ? known[code] : undefined;
  return own?.text
    ? { title: own.title, text: own.text }
    : { title: text.problems.other.title, text: message };
}

/** Each kind of problem once, as first told: a device that is lost again and again is one problem to the person. */
export function distinct<P extends Problem>(problems: readonly P[]): P[] {
  return problems.filter(({ code }, at) => problems.findIndex((other) => other.code === code) === at);
}
