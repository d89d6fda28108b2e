import type { Check, Family, Findings, RelayWay } from '../backend';
import type { Messages } from '.';
import { offset } from './connection';
import type { Numbers } from './numbers';

const FAMILIES: Record<Family, string> = { ipv4: 'IPv4', ipv6: 'IPv6' };
const WAYS: Record<RelayWay, string> = { udp: 'UDP', tcp: 'TCP', tls: 'TLS' };

type Teller = (findings: Findings, text: Messages['connection'], numbers: Numbers) => readonly string[];

/** What each check has found, in a few words; nothing where its result says it all. */
const tellers: Record<Check, Teller> = {
  name: ({ name }, _, numbers) => {
    if (!name) return [];
    if (name.outcome !== 'found') return [name.name];
    const families = name.families.map((family) => FAMILIES[family]).join(', ');
    return [name.name, families, numbers.fineMilliseconds(name.took_ms)];
  },

  server: ({ server, proxy }, text, numbers) => {
    if (server?.outcome !== 'ahoy') return [];
    const { connected_ms, secured_ms, answered_ms } = server;
    const took = [connected_ms, secured_ms, answered_ms].reduce<number>((sum, part) => sum + (part ?? 0), 0);
    return [text.answers(numbers.fineMilliseconds(took)), ...(proxy ? [text.proxy(proxy)] : [])];
  },

  clock: ({ clock }, text, numbers) => {
    if (!clock) return [];
    return [Math.abs(clock.ahead_s) < 1 ? text.right : offset(clock, text, numbers)];
  },

  session: ({ session }, text, numbers) =>
    session?.online_ms == null ? [] : [text.ready(numbers.fineMilliseconds(session.online_ms))],

  udp: ({ udp }, text, numbers) =>
    grouped(udp, ({ family }) => FAMILIES[family]).map(([family, answers]) => {
      const best = least(answers.map(({ round_trip_ms }) => round_trip_ms));
      return text.of(family, best === null ? text.noAnswer : numbers.fineMilliseconds(best));
    }),

  relays: ({ relays }, text, numbers) =>
    grouped(relays, ({ way }) => WAYS[way]).map(([way, asked]) => {
      const best = least(asked.map(({ allocated_ms }) => allocated_ms));
      const outcome = asked.find((relay) => relay.outcome !== 'allocated')?.outcome;
      const refusal = outcome && outcome !== 'allocated' ? text.relays[outcome] : text.noAnswer;
      return text.of(way, best === null ? refusal : numbers.fineMilliseconds(best));
    }),

  nat: ({ nat }, text) =>
    nat.map(({ family, is_translated, mapping }) =>
      text.of(FAMILIES[family], text.routers[is_translated === false ? 'none' : mapping]),
    ),

  path: ({ path }, text) => (path ? [text.paths[path]] : []),

  call: ({ call }, text, numbers) => {
    if (!call) return [];
    const { way, loss, delay_ms, jitter_ms } = call;
    if (way === null || loss === null) return [text.apart];
    return [
      WAYS[way],
      text.lost(numbers.percent(loss * 100)),
      ...(delay_ms === null ? [] : [text.delay(numbers.fineMilliseconds(delay_ms))]),
      ...(jitter_ms === null ? [] : [text.jitter(numbers.fineMilliseconds(jitter_ms))]),
    ];
  },
};

export function figures(check: Check, ...known: Parameters<Teller>): readonly string[] {
  return tellers[check](...known);
}

function grouped<Item>(items: readonly Item[], key: (item: Item) => string): [string, Item[]][] {
  const groups = new Map<string, Item[]>();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return [...groups];
}

function least(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length > 0 ? Math.min(...known) : null;
}
