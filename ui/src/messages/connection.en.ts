import type { Behaviour, Check, ExpectedPath, RelayOutcome, Severity } from '../backend';
import type { Standing } from '../state/check.svelte';
import type { ConclusionWords } from './connection';

const conclusions: ConclusionWords = {
  no_network: {
    title: 'You are not connected',
    text: 'Connect this computer by Wi-Fi or cable, and turn flight mode off.',
  },
  clock_wrong: {
    title: 'This computer’s clock is wrong',
    text: (off) =>
      `It is ${off}, so Ahoy can’t tell whether the server is genuine. Have the system set the time by itself.`,
  },
  name_server_silent: {
    title: 'The server’s name can’t be looked up',
    text: 'Your network does not tell where names lead. See whether web pages open; if they don’t, restart the router.',
  },
  name_unknown: {
    title: 'There is no such server',
    text: (name) =>
      `Nobody knows the name ${name}. Look for typing errors, or ask whoever gave you the address.`,
  },
  captive_portal: {
    title: 'This network wants you to sign in first',
    text: 'Open a web browser, and agree or sign in on the page that appears.',
  },
  proxy_refuses: {
    title: 'The proxy does not let Ahoy through',
    text: (proxy) =>
      `The system sends Ahoy through ${proxy}. Ask whoever runs that to allow the server, or change the proxy in the system’s settings.`,
  },
  server_down: {
    title: 'The server is not running',
    text: (server) =>
      `Nothing answers at ${server}, though its computer is there. Try again later, or tell whoever runs it.`,
  },
  server_blocked: {
    title: 'The server does not answer',
    text: (server) =>
      `Nothing comes back from ${server}. Try another network, such as your phone’s: if that works, this network blocks the server.`,
  },
  server_unwell: {
    title: 'Something is wrong with the server',
    text: (server) => `${server} says so itself. Try again later, or tell whoever runs it.`,
  },
  certificate_expired: {
    title: 'The server’s certificate is out of date',
    text: (server) => `Without it nobody can be sure to talk to ${server}. Tell whoever runs it to renew it.`,
  },
  certificate_name: {
    title: 'The server goes by another name',
    text: (server) =>
      `The certificate at ${server} is for another address. Check the one you were given, or tell whoever runs the server.`,
  },
  certificate_untrusted: {
    title: 'The server can’t prove who it is',
    text: (server) =>
      `Nobody this computer trusts vouches for ${server}; somebody may be listening in. Don’t sign in from this network before you have asked whoever runs the server.`,
  },
  not_ahoy: {
    title: 'This is no Ahoy server',
    text: (server) =>
      `Something else answers at ${server}. Look for typing errors, or ask whoever gave you the address.`,
  },
  signed_out: {
    title: 'This device was signed out',
    text: 'Sign in again to call and be called.',
  },
  signaling_fails: {
    title: 'The server answers, but lets no calls begin',
    text: 'A filter on this network may be in the way. Try another network, or try again later.',
  },
  relay_refuses_credentials: {
    title: 'The relay does not let you in',
    text: 'The server and its relay don’t agree on a password. Only whoever runs them can mend that: tell them.',
  },
  relay_refuses: {
    title: 'The relay turns you away',
    text: 'End your other calls and check again. If it stays so, tell whoever runs the server that the relay is full or set up wrongly.',
  },
  relay_down: {
    title: 'The relay does not answer',
    text: 'Only calls that find a direct way connect. Try another network; if it is the same there, tell whoever runs the server.',
  },
  no_relay: {
    title: 'The server has no relay',
    text: 'Only calls that find a direct way connect. Ask whoever runs the server to turn its relay on.',
  },
  relay_passes_nothing: {
    title: 'Nothing comes through the relay',
    text: 'It answers, but sound and pictures would not arrive. Tell whoever runs the server to open the relay’s ports.',
  },
  relay_lossy: {
    title: 'Much gets lost on the way',
    text: (share) =>
      `${share} of what goes through the relay does not arrive. Use a cable or come closer to the Wi-Fi, and pause downloads.`,
  },
  relay_only_tls: {
    title: 'This network lets only the web through',
    text: 'Calls work, but may lag. They run more smoothly on another network, or once its firewall lets UDP out.',
  },
  udp_one_way: {
    title: 'The fastest way for calls is half closed',
    text: 'Calls work, but may lag. If you look after the firewall, let answers to UDP in.',
  },
  udp_blocked: {
    title: 'The fastest way for calls is closed',
    text: 'Calls work, but may lag. They run more smoothly on another network, or once its firewall lets UDP out.',
  },
  relay_slow: {
    title: 'The way through the relay is long',
    text: (delay) =>
      `It takes ${delay}, so people may talk at the same time. Another network may be quicker.`,
  },
  ipv6_broken: {
    title: 'IPv6 leads nowhere',
    text: 'Calls take IPv4 and may begin later. Restart the router; if that does not help, turn IPv6 off in it.',
  },
  nat_symmetric: {
    title: 'Your router makes direct calls hard',
    text: 'Many calls have to take the relay. If the router is yours, look for “full cone NAT” in its settings, or turn IPv6 on.',
  },
  clock_off: {
    title: 'This computer’s clock is off',
    text: (off) => `It is ${off}. Calls don’t mind; have the system set the time by itself.`,
  },
  not_signed_in: {
    title: 'You are not signed in',
    text: 'The server answers. The way of sound and pictures can be checked once you are signed in.',
  },
  all_well: {
    title: 'Plain sailing',
    text: 'Nothing keeps your calls from connecting.',
  },
};

const severities: Record<Severity, string> = {
  calls_impossible: 'Calls can’t connect',
  some_calls_fail: 'Some calls fail',
  calls_work_less_well: 'Calls work, but less well',
  note: 'Good to know',
};

const checks: Record<Check, string> = {
  name: 'Server’s name',
  server: 'Server',
  clock: 'Clock',
  session: 'Sign-in',
  udp: 'Direct way (UDP)',
  relays: 'Relays',
  nat: 'Router and firewall',
  path: 'Best way for calls',
  call: 'Call through the relay',
};

const standings: Record<Standing, string> = {
  waiting: 'Waiting',
  running: 'Checking…',
  skipped: 'Not checked',
  good: 'Good',
  partly: 'Partly',
  bad: 'Not good',
  unknown: 'Not known',
};

const paths: Record<ExpectedPath, string> = {
  direct: 'Straight to the other side',
  relay_udp: 'Through the relay (UDP)',
  relay_tcp: 'Through the relay (TCP)',
  relay_tls: 'Through the relay (TLS)',
  none: 'There is none',
};

const relays: Record<Exclude<RelayOutcome, 'allocated'>, string> = {
  unreachable: 'not reached',
  silent: 'no answer',
  refused: 'turned away',
};

/** What a router does to direct calls. */
const routers: Record<Behaviour | 'none', string> = {
  none: 'changes no addresses',
  endpoint_independent: 'good for direct calls',
  port_independent: 'good for direct calls',
  address_dependent: 'direct calls are hard',
  address_and_port_dependent: 'direct calls are hard',
  unknown: 'could not be seen',
};

export const connection = {
  heading: 'Check my connection',
  text: 'Ahoy looks at everything a call needs, and says what is in the way and what helps. Nobody is called.',
  begin: 'Check now',
  again: 'Check again',
  stop: 'Stop',
  offer: 'Check my connection',
  running: 'This takes up to half a minute.',
  alsoFound: 'Also found',
  details: 'Details',
  copy: 'Copy report',
  copyHint: 'For whoever helps you. It has your network addresses in it, but no passwords.',
  copyFailed: 'Copying is not allowed here.',
  conclusions,
  severities,
  checks,
  standings,
  paths,
  relays,
  routers,
  ahead: (span: string) => `${span} ahead`,
  behind: (span: string) => `${span} behind`,
  right: 'Right to the second',
  answers: (time: string) => `Answers in ${time}`,
  ready: (time: string) => `Ready in ${time}`,
  proxy: (proxy: string) => `through ${proxy}`,
  noAnswer: 'no answer',
  of: (what: string, reading: string) => `${what}: ${reading}`,
  lost: (share: string) => `${share} lost`,
  delay: (time: string) => `${time} delay`,
  jitter: (time: string) => `${time} jitter`,
  apart: 'The two ends did not find each other',
};
