import type { AnyProblem } from '../backend';
import { deviceOf } from '../state/remedies';
import type { Messages } from '.';

/** The window's words for a problem. What is about a device names it. */
export interface Words {
  title: string;
  text: string | ((device: string) => string);
}

/** Words for everything that can go wrong: the compiler sees to it that nothing is left out. */
export type ProblemWords = Record<AnyProblem['code'], Words>;

export interface Wording {
  title: string;
  text: string;
}

/** What a person reads about a problem. */
export function wording(messages: Messages, { code, device }: AnyProblem): Wording {
  const { title, text } = messages.problems[code];
  if (typeof text === 'string') return { title, text };
  const kind = deviceOf(code);
  return { title, text: text(device ?? (kind ? messages.devices.unnamed[kind] : '')) };
}
