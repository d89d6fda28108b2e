import type {
  Check,
  CheckResult,
  Conclusion,
  ConclusionCode,
  DoctorReport,
  Findings,
  Progress,
  RelayFinding,
  RelayWay,
  Severity,
  UdpFinding,
} from '../src/backend';

export const began = (check: Check): Progress => ({ kind: 'began', check });

export const ended = (check: Check, result: CheckResult): Progress => ({
  kind: 'ended',
  check,
  result,
  words: 'For the terminal.',
});

/** A check from beginning to end. */
export const checked = (check: Check, result: CheckResult): Progress[] => [
  began(check),
  ended(check, result),
];

export const conclusion = (code: ConclusionCode, severity: Severity): Conclusion => ({
  code,
  severity,
  what: 'What a terminal says.',
  advice: 'What a terminal advises.',
});

const udp = (family: UdpFinding['family'], mapped: string | null, round_trip_ms: number | null) => ({
  server: '198.51.100.1:3478',
  family,
  local: '192.168.1.20:50122',
  mapped,
  round_trip_ms,
});

const relay = (
  way: RelayWay,
  allocated_ms: number | null,
  outcome: RelayFinding['outcome'] = 'allocated',
): RelayFinding => ({
  server: 'call.example.org:3478',
  way,
  family: 'ipv4',
  outcome,
  code: null,
  allocated_ms,
  relayed: allocated_ms === null ? [] : ['198.51.100.1:49301'],
  detail: null,
});

/** What is found where nothing is in the way. */
export const findings: Findings = {
  addresses: ['192.168.1.20', '2001:db8::20'],
  is_here: false,
  proxy: null,
  name: {
    name: 'call.example.org',
    outcome: 'found',
    families: ['ipv4', 'ipv6'],
    took_ms: 11.2,
    detail: null,
  },
  families: [
    { family: 'ipv4', address: '198.51.100.1:443', connected_ms: 18.1, detail: null },
    { family: 'ipv6', address: '[2001:db8::1]:443', connected_ms: 17.6, detail: null },
  ],
  server: {
    server: 'https://call.example.org',
    outcome: 'ahoy',
    connected_ms: 18.1,
    secured_ms: 37.4,
    answered_ms: 19.9,
    status: 200,
    detail: null,
  },
  clock: { ahead_s: 0.2, is_proven: true, explains_certificate: false },
  session: { outcome: 'online', online_ms: 148.3, stun_servers: 1, relays: 3, detail: null },
  udp: [udp('ipv4', '203.0.113.9:50122', 19.2), udp('ipv6', '[2001:db8::20]:50122', 18.4)],
  relays: [relay('udp', 41.2), relay('tcp', 62.8), relay('tls', 98.1)],
  nat: [
    {
      family: 'ipv4',
      is_translated: true,
      mapping: 'endpoint_independent',
      filtering: 'address_and_port_dependent',
      gets_out: true,
    },
    {
      family: 'ipv6',
      is_translated: false,
      mapping: 'endpoint_independent',
      filtering: 'address_and_port_dependent',
      gets_out: true,
    },
  ],
  path: 'direct',
  call: {
    way: 'udp',
    connected_ms: 212,
    sent: 200,
    received: 200,
    loss: 0,
    delay_ms: 21.4,
    jitter_ms: 1.3,
  },
};

export const allWell: DoctorReport = {
  schema: 1,
  ok: true,
  conclusions: [conclusion('all_well', 'note')],
  findings,
  took_s: 6.2,
};

/** A network that lets no datagrams out, and loses much of what goes another way. */
export const troubled: DoctorReport = {
  schema: 1,
  ok: false,
  conclusions: [
    conclusion('relay_lossy', 'some_calls_fail'),
    conclusion('udp_blocked', 'calls_work_less_well'),
    conclusion('clock_off', 'note'),
  ],
  findings: {
    ...findings,
    clock: { ahead_s: -7500, is_proven: true, explains_certificate: false },
    udp: [udp('ipv4', null, null)],
    relays: [relay('udp', null, 'silent'), relay('tcp', 64.4), relay('tls', 101.7)],
    nat: [
      {
        family: 'ipv4',
        is_translated: null,
        mapping: 'unknown',
        filtering: 'unknown',
        gets_out: false,
      },
    ],
    path: 'relay_tcp',
    call: {
      way: 'tcp',
      connected_ms: 388,
      sent: 200,
      received: 162,
      loss: 0.19,
      delay_ms: 88.6,
      jitter_ms: 24.1,
    },
  },
  took_s: 14.8,
};

/** The server can't be reached, so that nothing behind it was looked at. */
export const blocked: DoctorReport = {
  schema: 1,
  ok: false,
  conclusions: [conclusion('server_blocked', 'calls_impossible')],
  findings: {
    ...findings,
    families: [],
    server: {
      server: 'https://call.example.org',
      outcome: 'timed_out',
      connected_ms: null,
      secured_ms: null,
      answered_ms: null,
      status: null,
      detail: null,
    },
    clock: null,
    session: null,
    udp: [],
    relays: [],
    nat: [],
    path: null,
    call: null,
  },
  took_s: 10.1,
};

/** Up to the relays, which are still asked. */
export const underWay: Progress[] = [
  ...checked('name', 'good'),
  ...checked('server', 'good'),
  ...checked('clock', 'good'),
  ...checked('session', 'good'),
  began('udp'),
  began('relays'),
  ended('udp', 'good'),
];

const rest = (nat: CheckResult, path: CheckResult, call: CheckResult): Progress[] => [
  ...checked('nat', nat),
  ...checked('path', path),
  ...checked('call', call),
];

export const wentWell: Progress[] = [...underWay, ended('relays', 'good'), ...rest('good', 'good', 'good')];

export const wentBadly: Progress[] = [
  ...underWay.filter(({ check }) => check !== 'clock' && check !== 'udp'),
  ...checked('clock', 'partly'),
  ...checked('udp', 'bad'),
  ended('relays', 'partly'),
  ...rest('unknown', 'partly', 'partly'),
];
