import type { ClockFinding, Conclusion, ConclusionCode, Findings } from '../backend';
import type { Messages } from '.';
import type { Numbers } from './numbers';
import type { Wording, Words } from './problems';

/**
 * Words for everything that an examination may conclude: the compiler sees to it that nothing is left out. What takes a value
 * names the server, unless it is about something else.
 */
export type ConclusionWords = Record<ConclusionCode, Words>;

/** What a person reads about a conclusion. */
export function concluded(
  { code }: Conclusion,
  findings: Findings,
  { connection }: Messages,
  numbers: Numbers,
): Wording {
  const { title, text } = connection.conclusions[code];
  if (typeof text === 'string') return { title, text };
  return { title, text: text(subject(code, findings, connection, numbers)) };
}

function subject(
  code: ConclusionCode,
  { call, clock, name, proxy, server }: Findings,
  text: Messages['connection'],
  numbers: Numbers,
): string {
  switch (code) {
    case 'clock_wrong':
    case 'clock_off':
      return clock ? offset(clock, text, numbers) : '';
    case 'name_unknown':
      return name?.name ?? '';
    case 'proxy_refuses':
      return proxy ?? '';
    case 'relay_lossy':
      return numbers.percent((call?.loss ?? 0) * 100);
    case 'relay_slow':
      return numbers.milliseconds(call?.delay_ms ?? null);
    default:
      return (server?.server ?? '').replace(/^https:\/\//, '').replace(/\/$/, '');
  }
}

/** How far a clock is off, such as `3 days ahead`. */
export function offset({ ahead_s }: ClockFinding, text: Messages['connection'], numbers: Numbers): string {
  const span = numbers.span(Math.abs(ahead_s));
  return ahead_s > 0 ? text.ahead(span) : text.behind(span);
}
