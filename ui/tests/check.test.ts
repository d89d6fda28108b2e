import { configure, screen, waitFor, within } from '@testing-library/svelte';
import axe from 'axe-core';
import { beforeEach, describe, expect, it, vi } from 'vitest';

import { en } from '../src/messages/en';
import { zh } from '../src/messages/zh';
import { open, press } from './program';
import { failure, people, personCall, summary, type Script } from './scripted-backend';
import {
  allWell,
  blocked,
  checked,
  conclusion,
  ended,
  troubled,
  underWay,
  wentBadly,
  wentWell,
} from './scripted-check';

// Within the time limit of a test.
configure({ asyncUtilTimeout: 20_000 });

beforeEach(() => {
  document.title = 'Ahoy';
  // jsdom has no layout, so it does not know what the desktop prefers.
  vi.stubGlobal('matchMedia', () => new EventTarget());
});

const under = { progress: underWay, report: null };

async function openPage(script: Script = {}, text = en) {
  const backend = await open({ ...script, settings: { language: text === zh ? 'zh' : 'en' } });
  press(text.home.settings);
  (await screen.findByRole('tab', { name: text.settings.pages.connection })).click();
  await screen.findByRole('button', { name: text.connection.begin });
  return backend;
}

async function check(script: Script = {}, text = en) {
  const backend = await openPage(script, text);
  press(text.connection.begin);
  return backend;
}

/** How it stands with each check, as the list says it. */
function standings(text = en): string[] {
  const rows = within(screen.getByRole('list', { name: text.connection.heading })).getAllByRole('listitem');
  return rows.map((row) => row.querySelector('.standing')!.textContent);
}

async function violations() {
  const found = await axe.run(document, { rules: { 'color-contrast': { enabled: false } } });
  return found.violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]);
}

describe('the check of the connection', () => {
  it('shows how far it is', async () => {
    const backend = await check({ check: under });
    const { good, running, waiting } = en.connection.standings;
    await screen.findByText(running);
    expect(standings()).toEqual([good, good, good, good, good, running, waiting, waiting, waiting]);
    backend.emit('connection_check', ended('relays', 'partly'));
    await waitFor(() => expect(standings()[5]).toBe(en.connection.standings.partly));
  });

  it('says of what was passed over that it was not checked', async () => {
    await check({ check: { progress: checked('server', 'good'), report: null } });
    await waitFor(() => expect(standings()[0]).toBe(en.connection.standings.skipped));
    expect(standings()[2]).toBe(en.connection.standings.waiting);
  });

  it('tells who hears the page that it runs and the verdict, but not each step', async () => {
    const backend = await check({ check: under });
    await screen.findByText(en.connection.standings.running);
    const [told] = screen.getAllByRole('status');
    const before = told?.textContent;
    expect(before).toContain(en.connection.running);
    backend.emit('connection_check', ended('relays', 'good'));
    await waitFor(() => expect(standings()[5]).toBe(en.connection.standings.good));
    expect(told?.textContent).toBe(before);
  });

  it.each([en, zh])('puts the worst first, by its code and with what was found', async (text) => {
    await check({ check: { progress: wentBadly, report: troubled } }, text);
    const { conclusions, severities } = text.connection;
    const headings = [conclusions.relay_lossy, conclusions.udp_blocked, conclusions.clock_off];
    await screen.findByRole('heading', { level: 3, name: conclusions.relay_lossy.title });
    const [told] = screen.getAllByRole('status');
    const words = told!.textContent;
    const places = headings.map(({ title }) => words.indexOf(title));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(places).not.toContain(-1);
    expect(words.indexOf(severities.some_calls_fail)).toBeLessThan(places[0]!);
    expect(words).toContain('19%');
    expect(words).toMatch(text === en ? /2 hours behind/ : /慢了2\s?小时/);
    expect(words).not.toContain('terminal');
    expect(await violations()).toEqual([]);
  });

  it.each([en, zh])('says that all is well, and keeps figures for who wants them', async (text) => {
    await check({ check: { progress: wentWell, report: allWell } }, text);
    await screen.findByRole('heading', { level: 3, name: text.connection.conclusions.all_well.title });
    expect(screen.queryByText(text.connection.alsoFound)).toBeNull();
    const list = screen.getByRole('list', { name: text.connection.heading, hidden: true });
    expect(list.closest('details')?.open).toBe(false);
    const { of, paths, lost } = text.connection;
    for (const part of [of('TLS', ''), of('IPv6', ''), paths.direct, lost('0%'), 'call.example.org']) {
      expect(list.textContent).toContain(part.trim());
    }
  });

  it('names the server that does not answer, and what was not looked at because of it', async () => {
    const progress = [
      ...checked('name', 'good'),
      ...checked('server', 'bad'),
      ...checked('clock', 'unknown'),
    ];
    await check({ check: { progress, report: blocked } });
    expect(await screen.findByText(/Nothing comes back from call\.example\.org\./)).toBeTruthy();
    screen.getByText(en.connection.details).click();
    const { good, bad, unknown, skipped } = en.connection.standings;
    expect(standings().slice(0, 4)).toEqual([good, bad, unknown, skipped]);
  });

  it('offers to sign in where that is what helps', async () => {
    const report = { ...blocked, conclusions: [conclusion('not_signed_in', 'note')] };
    await check({ check: { progress: [], report } });
    (await screen.findByRole('button', { name: en.people.signIn })).click();
    await screen.findByRole('heading', { level: 1, name: en.signIn.heading });
  });

  it('is called off by Stop, with the focus where it was, and begins anew', async () => {
    const backend = await check({ check: under });
    const stop = await screen.findByRole('button', { name: en.connection.stop });
    stop.focus();
    stop.click();
    const begin = await screen.findByRole('button', { name: en.connection.begin });
    expect(document.activeElement).toBe(begin);
    expect(backend.asked).toContain('stopConnectionCheck');
    expect(screen.queryByRole('list', { name: en.connection.heading })).toBeNull();
    begin.click();
    await waitFor(() => expect(backend.asked.filter((asked) => asked === 'checkConnection')).toHaveLength(2));
  });

  it('is called off when the page is left', async () => {
    const backend = await check({ check: under });
    await screen.findByText(en.connection.standings.running);
    screen.getByRole('tab', { name: en.settings.pages.about }).click();
    await waitFor(() => expect(backend.asked).toContain('stopConnectionCheck'));
  });

  it('keeps what it found when the page is left', async () => {
    const backend = await check({ check: { progress: wentBadly, report: troubled } });
    const { title } = en.connection.conclusions.relay_lossy;
    await screen.findByText(title);
    screen.getByRole('tab', { name: en.settings.pages.about }).click();
    await waitFor(() => expect(screen.queryByText(title)).toBeNull());
    screen.getByRole('tab', { name: en.settings.pages.connection }).click();
    expect(await screen.findByText(title)).toBeTruthy();
    expect(screen.getByRole('button', { name: en.connection.again })).toBeTruthy();
    expect(backend.asked).not.toContain('stopConnectionCheck');
  });

  it('that could not be made says why', async () => {
    await check({ failing: { checkConnection: failure('not_signed_in') } });
    const alert = await screen.findByRole('alert');
    expect(alert.textContent).toContain(en.problems.not_signed_in.title);
    expect(screen.getByRole('button', { name: en.connection.begin })).toBeTruthy();
  });

  it('lets its report be copied whole', async () => {
    const copied = vi.fn().mockResolvedValue(undefined);
    vi.stubGlobal('navigator', Object.assign(navigator, { clipboard: { writeText: copied } }));
    await check({ check: { progress: wentWell, report: allWell } });
    (await screen.findByRole('button', { name: en.connection.copy })).click();
    await screen.findByText(en.copy.done);
    expect(JSON.parse(copied.mock.calls[0]![0])).toEqual(allWell);
  });

  it('keeps nobody out while it runs', async () => {
    await check({ check: under });
    await screen.findByText(en.connection.standings.running);
    expect(await violations()).toEqual([]);
  });

  it('has the choice to hide one’s address beside it', async () => {
    const backend = await openPage();
    screen.getByRole('switch', { name: en.settings.relayOnly }).click();
    await waitFor(() => expect(backend.asked).toContain('changeSettings {"relay_only":true}'));
  });
});

describe('checking the connection is offered', () => {
  async function accept() {
    (await screen.findByRole('button', { name: en.connection.offer })).click();
    await screen.findByRole('tab', { name: en.settings.pages.connection, selected: true });
  }

  async function endCall(how: 'no_connection' | 'declined') {
    const backend = await open({ people, check: under });
    (await screen.findByRole('button', { name: en.people.callWithVideo('Ada Lovelace') })).click();
    await screen.findByRole('heading', { level: 1, name: personCall.name });
    backend.emit('calls', { current: null, ringing: [] });
    const ending = { handle: 'ada', name: 'Ada Lovelace', outgoing: true, how };
    backend.emit('ended', { ...summary, seconds: 0, with: ending });
    await screen.findByRole('heading', { name: en.people.ending[how]('Ada Lovelace') });
    return backend;
  }

  it('after a call that did not connect, and begins at once', async () => {
    const backend = await endCall('no_connection');
    await accept();
    await screen.findByText(en.connection.standings.running);
    expect(backend.asked).toContain('checkConnection');
  });

  it('not after a call that somebody did not want', async () => {
    await endCall('declined');
    expect(screen.queryByRole('button', { name: en.connection.offer })).toBeNull();
  });

  it('where the server was given up', async () => {
    const backend = await open({ people: { ...people, connection: 'gave_up' } });
    await accept();
    await waitFor(() => expect(backend.asked).toContain('checkConnection'));
  });

  it('where nobody gets in, and looks at the server that was typed', async () => {
    const failing = { signIn: failure('server_unreachable') };
    const backend = await open({ failing, check: { progress: [], report: blocked } });
    press(en.people.signIn);
    await screen.findByRole('heading', { level: 1, name: en.signIn.heading });
    for (const [label, value] of [
      [en.signIn.server, ' https://call.example.org '],
      [en.signIn.handle, 'marina'],
      [en.signIn.password, 'correct horse battery'],
    ] as const) {
      const field = screen.getByLabelText<HTMLInputElement>(label);
      field.value = value;
      field.dispatchEvent(new Event('input', { bubbles: true }));
    }
    const button = screen.getByRole<HTMLButtonElement>('button', { name: en.signIn.signIn });
    await waitFor(() => expect(button.disabled).toBe(false));
    button.click();
    await accept();
    await screen.findByText(en.connection.conclusions.server_blocked.title);
    expect(screen.queryByText(en.problems.server_unreachable.title)).toBeNull();
    press(en.connection.again);
    await waitFor(() =>
      expect(
        backend.asked.filter((asked) => asked === 'checkConnection https://call.example.org'),
      ).toHaveLength(2),
    );
  });
});
