import type { Page } from 'playwright-core';

import type { CallStats } from '../../src/backend';
import { en } from '../../src/messages/en';
import { zh } from '../../src/messages/zh';
import {
  conversations,
  devices,
  failed,
  failure,
  messages,
  noDevices,
  off,
  offer,
  otherTransfers,
  paused,
  people,
  personCall,
  recentCalls,
  ringingCall,
  running,
  stats,
  summary,
  transfer,
  type Script,
} from '../scripted-backend';
import { allWell, blocked, checked, troubled, underWay, wentBadly, wentWell } from '../scripted-check';

export interface Scene {
  script?: Script;
  /** How loud the microphone is. */
  level?: number;
  stats?: (at: number) => CallStats;
  /** Pictures that have to be painted before the scene is complete. */
  tiles?: number;
  /** From the first view to the one that is wanted, as a person would go. */
  go?: (page: Page, text: typeof en) => Promise<void>;
}

const firstRun = { first_run_done: false, name: '' };
const call = running;

async function startCall(page: Page, text: typeof en) {
  await page.getByRole('button', { name: text.home.testCall }).click();
  await page.evaluate(() => document.dispatchEvent(new Event('numbers')));
}

async function callPerson(page: Page, text: typeof en, person = personCall) {
  await page.getByRole('button', { name: text.people.callWithVideo('Ada Lovelace') }).click();
  await page.evaluate(
    (current) => document.dispatchEvent(new CustomEvent('person', { detail: current })),
    person,
  );
  await page.evaluate(() => document.dispatchEvent(new Event('numbers')));
}

async function openSettings(page: Page, text: typeof en, tab: keyof typeof en.settings.pages) {
  await page.getByRole('button', { name: text.home.settings, exact: true }).click();
  await page.getByRole('tab', { name: text.settings.pages[tab] }).click();
  await page.mouse.move(0, 0);
}

async function checkConnection(page: Page, text: typeof en) {
  await openSettings(page, text, 'connection');
  await page.getByRole('button', { name: text.connection.begin }).click();
  await page.mouse.move(0, 0);
}

async function checkInDetail(page: Page, text: typeof en) {
  await checkConnection(page, text);
  await page.getByText(text.connection.details, { exact: true }).click();
}

/** A network that loses packets: pictures are missing from the stage of receiving on. */
function lossy(at: number): CallStats {
  const numbers = stats(at);
  const { video, network } = numbers;
  network.loss_percent = 4 + Math.sin(at / 4) * 1.5;
  network.jitter_ms = 28 + Math.sin(at / 3) * 9;
  video.fps_received = 21;
  video.fps_decoded = 20.6;
  video.fps_shown = 20.4 + Math.sin(at) * 2;
  video.latency_ms = 228 + Math.sin(at / 6) * 30;
  video.freezes = 3;
  video.bitrate_kbps = 590 + Math.sin(at / 3) * 25;
  numbers.sending = {
    target_kbps: 690 + Math.sin(at / 5) * 30,
    sent_kbps: 655 + Math.sin(at / 3) * 25,
    acknowledged_kbps: 620 + Math.sin(at / 3) * 25,
    queue_ms: 34 + Math.sin(at / 4) * 8,
    loss_percent: network.loss_percent,
    round_trip_ms: 74 + Math.sin(at / 4) * 8,
    reason: 'loss',
    picture: { width: 960, height: 540, fps: 30, bitrate_kbps: 612 },
    limited_by: 'network',
  };
  return numbers;
}

export const scenes = {
  'first-run': { script: { settings: firstRun }, level: 0.16, tiles: 1 },
  'first-run-busy': {
    script: {
      settings: firstRun,
      preview: {
        camera: failed('camera_busy', 'Integrated Camera'),
        microphone: failed('microphone_busy', 'Built-in Microphone'),
      },
    },
  },
  home: { script: { people, conversations, recentCalls } },
  chat: {
    script: { people, conversations, messages },
    go: (page, text) => page.getByRole('button', { name: text.talk.open('Ada Lovelace') }).click(),
  },
  'chat-failed': {
    script: {
      people,
      conversations,
      messages: [...messages, { ...messages[4]!, message: 'n_lost', state: 'failed', text: 'On my way.' }],
    },
    go: (page, text) => page.getByRole('button', { name: text.talk.open('Ada Lovelace') }).click(),
  },
  'chat-empty': {
    script: { people },
    go: (page, text) => page.getByRole('button', { name: text.talk.open('Ada Lovelace') }).click(),
  },
  'call-person-messages': {
    script: { people, snapshot: call, conversations, messages },
    tiles: 2,
    async go(page, text) {
      await callPerson(page, text);
      await page.keyboard.press('t');
      await page.getByRole('textbox', { name: text.talk.write }).waitFor();
      await page.mouse.move(0, 0);
    },
  },
  'home-files': {
    script: { people, transfers: [transfer, ...otherTransfers], conversations },
    go: (page, text) => page.getByRole('button', { name: new RegExp(`^${text.files.heading}`) }).click(),
  },
  'home-files-closed': { script: { people, transfers: [transfer, ...otherTransfers], conversations } },
  'home-files-offered': {
    script: { people, transfers: [offer], conversations },
    async go(page, text) {
      await page.getByRole('button', { name: new RegExp(`^${text.files.heading}`) }).click();
      await page.getByRole('button', { name: new RegExp(`^${text.files.details}`) }).click();
      await page.mouse.move(0, 0);
    },
  },
  'home-files-to-whom': {
    script: { people, conversations },
    go: (page) => page.evaluate(() => document.dispatchEvent(new Event('picked'))).then(() => undefined),
  },
  'chat-files': {
    script: { people, conversations, messages },
    async go(page, text) {
      await page.getByRole('button', { name: text.talk.open('Ada Lovelace') }).click();
      await page.getByRole('button', { name: text.files.send('Ada Lovelace') }).click();
      await page.mouse.move(0, 0);
    },
  },
  'chat-files-dragged': {
    script: { people, conversations, messages },
    async go(page, text) {
      await page.getByRole('button', { name: text.talk.open('Ada Lovelace') }).click();
      await page.evaluate(() => document.dispatchEvent(new Event('dragged')));
    },
  },
  'call-person-files': {
    script: { people, snapshot: call, transfers: [transfer, otherTransfers[1]!] },
    tiles: 2,
    async go(page, text) {
      await callPerson(page, text);
      await page.getByRole('button', { name: new RegExp(`^${text.files.heading}`) }).click();
      await page.mouse.move(0, 0);
    },
  },
  'home-signed-out': {},
  'home-ringing': { script: { people, calls: { current: null, ringing: [ringingCall] } } },
  'home-invited': {
    script: {
      nearby: [{ name: 'Grace Hopper', link: 'https://192.0.2.7:7447/join/r_1#eyJhbGciOi&pin=x' }],
      invitation: {
        link: 'https://call.example.org/join/r_1#eyJhbGciOi',
        server: 'https://call.example.org',
      },
    },
  },
  'home-nearby': {
    script: { nearby: [{ name: 'Grace Hopper', link: 'https://192.0.2.7:7447/join/r_1#eyJhbGciOi&pin=x' }] },
  },
  'call-hosted': {
    script: { snapshot: call, lobby: [{ participant: 'p_1', name: 'Grace Hopper' }] },
    tiles: 1,
    go: (page, text) => page.getByRole('button', { name: text.nearby.host }).click(),
  },
  'sign-in': {
    go: (page, text) => page.getByRole('button', { name: text.people.signIn }).click(),
  },
  'call-person': { script: { people, snapshot: call }, tiles: 2, go: callPerson },
  'call-person-paused': {
    script: { people, snapshot: call },
    stats: paused,
    go: (page, text) => callPerson(page, text, { ...personCall, paused_there: true }),
  },
  'call-link': {
    script: { people, snapshot: call },
    tiles: 1,
    go: (page, text) => page.getByRole('button', { name: text.invite.start }).click(),
  },
  'call-person-ringing': {
    script: { people, snapshot: call },
    tiles: 1,
    go: (page, text) => page.getByRole('button', { name: text.people.callWithVideo('Ada Lovelace') }).click(),
  },
  'summary-person': {
    script: {
      people,
      snapshot: call,
      summary: {
        ...summary,
        with: { handle: 'ada', name: 'Ada Lovelace', outgoing: true, how: 'hung_up' },
        latency_ms: null,
        audio_delay_ms: null,
      },
    },
    async go(page, text) {
      await callPerson(page, text);
      await page.getByRole('button', { name: text.call.hangUp }).click();
    },
  },
  'home-nothing-found': { script: { devices: noDevices } },
  call: { script: { snapshot: call }, tiles: 2, go: startCall },
  'call-camera-off': {
    script: {
      snapshot: {
        ...call,
        muted: true,
        camera: off,
      },
    },
    go: startCall,
  },
  'call-numbers': {
    script: { snapshot: call },
    stats: lossy,
    tiles: 2,
    async go(page, text) {
      await startCall(page, text);
      await page.getByRole('button', { name: text.common.close, exact: true }).click();
      await page.keyboard.press('s');
      await page.mouse.move(0, 0);
    },
  },
  'call-camera-busy': {
    script: { snapshot: { ...call, camera: failed('camera_busy', 'Integrated Camera') } },
    go: startCall,
  },
  'call-no-devices': {
    script: {
      devices: noDevices,
      snapshot: {
        ...call,
        camera: failed('camera_missing'),
        microphone: failed('microphone_missing'),
        speaker: failed('speaker_missing'),
      },
    },
    go: startCall,
  },
  'call-plugin-missing': { script: { snapshot: call }, tiles: 2, go: startCall },
  'call-devices': {
    script: { snapshot: call },
    tiles: 2,
    async go(page, text) {
      await startCall(page, text);
      await page.getByRole('button', { name: text.call.devices }).click();
      await page.mouse.move(0, 0);
    },
  },
  summary: {
    script: { snapshot: call },
    async go(page, text) {
      await startCall(page, text);
      await page.getByRole('button', { name: text.call.hangUp }).click();
    },
  },
  'summary-bad': {
    script: {
      snapshot: call,
      summary: {
        ...summary,
        ok: false,
        problems: [
          { code: 'microphone_lost', message: '', device: 'USB Headset' },
          { code: 'freezes', message: '', device: null },
        ],
        audio_delay_ms: null,
        freezes: 4,
        fps: 22.4,
      },
    },
    async go(page, text) {
      await startCall(page, text);
      await page.getByRole('button', { name: text.call.hangUp }).click();
    },
  },
  'settings-general': { go: (page, text) => openSettings(page, text, 'general') },
  'settings-audio': { level: 0.2, go: (page, text) => openSettings(page, text, 'audio') },
  'settings-video': { tiles: 1, go: (page, text) => openSettings(page, text, 'video') },
  'settings-connection': { go: (page, text) => openSettings(page, text, 'connection') },
  'check-running': { script: { check: { progress: underWay, report: null } }, go: checkConnection },
  'check-well': { script: { check: { progress: wentWell, report: allWell } }, go: checkInDetail },
  'check-troubled': { script: { check: { progress: wentBadly, report: troubled } }, go: checkConnection },
  'check-details': { script: { check: { progress: wentBadly, report: troubled } }, go: checkInDetail },
  'check-blocked': {
    script: {
      check: {
        progress: [...checked('name', 'good'), ...checked('server', 'bad'), ...checked('clock', 'unknown')],
        report: blocked,
      },
    },
    go: checkConnection,
  },
  'call-ways': {
    script: { people, snapshot: call },
    tiles: 2,
    async go(page, text) {
      await callPerson(page, text);
      await page.keyboard.press('s');
      await page.getByText(text.stats.addresses, { exact: true }).click();
      await page.getByRole('list', { name: text.stats.addressesThere, exact: true }).scrollIntoViewIfNeeded();
      await page.mouse.move(0, 0);
    },
  },
  'summary-unconnected': {
    script: {
      people,
      snapshot: call,
      summary: {
        ...summary,
        seconds: 0,
        with: { handle: 'ada', name: 'Ada Lovelace', outgoing: true, how: 'no_connection' },
      },
    },
    async go(page, text) {
      await callPerson(page, text);
      await page.getByRole('button', { name: text.call.hangUp }).click();
    },
  },
  'settings-about': { go: (page, text) => openSettings(page, text, 'about') },
  failure: {
    script: { devices, failing: { settings: failure('no_answer', 'The program has stopped.') } },
  },
} satisfies Record<string, Scene> as Record<SceneName, Scene>;

export type SceneName =
  | 'first-run'
  | 'first-run-busy'
  | 'home'
  | 'home-nothing-found'
  | 'home-files'
  | 'home-files-closed'
  | 'home-files-offered'
  | 'home-files-to-whom'
  | 'chat-files'
  | 'chat-files-dragged'
  | 'call-person-files'
  | 'home-signed-out'
  | 'home-ringing'
  | 'home-invited'
  | 'home-nearby'
  | 'call-hosted'
  | 'chat'
  | 'chat-failed'
  | 'chat-empty'
  | 'call-person-messages'
  | 'call-link'
  | 'sign-in'
  | 'call-person'
  | 'call-person-paused'
  | 'call-person-ringing'
  | 'summary-person'
  | 'call'
  | 'call-camera-off'
  | 'call-numbers'
  | 'call-camera-busy'
  | 'call-no-devices'
  | 'call-plugin-missing'
  | 'call-devices'
  | 'summary'
  | 'summary-bad'
  | 'settings-general'
  | 'settings-audio'
  | 'settings-video'
  | 'settings-connection'
  | 'settings-about'
  | 'check-running'
  | 'check-well'
  | 'check-troubled'
  | 'check-details'
  | 'check-blocked'
  | 'call-ways'
  | 'summary-unconnected'
  | 'failure';

export const texts = { en, zh };
