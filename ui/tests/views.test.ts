import { cleanup, configure, render, screen, waitFor, within } from '@testing-library/svelte';
import axe from 'axe-core';
import { beforeEach, describe, expect, it, vi } from 'vitest';

import { en } from '../src/messages/en';
import { zh } from '../src/messages/zh';
import Start from '../src/Start.svelte';
import { open, press } from './program';
import {
  conversations,
  devices,
  failed,
  failure,
  linkCall,
  messages,
  noDevices,
  off,
  offer,
  on,
  otherTransfers,
  paused,
  people,
  personCall,
  recentCalls,
  recoveryCodes,
  ringingCall,
  running,
  ScriptedBackend,
  stats,
  summary,
  transfer,
  type Script,
} from './scripted-backend';

// Within the time limit of a test.
configure({ asyncUtilTimeout: 20_000 });

beforeEach(() => {
  document.title = 'Ahoy';
  // jsdom has no layout, so it does not know what the desktop prefers, and shows no modal dialogs.
  vi.stubGlobal('matchMedia', () => new EventTarget());
  HTMLDialogElement.prototype.showModal ??= function (this: HTMLDialogElement) {
    this.open = true;
  };
  HTMLDialogElement.prototype.close ??= function (this: HTMLDialogElement) {
    this.open = false;
  };
});

function key(key: string) {
  document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
}

async function openCall(script: Script = {}) {
  const backend = await open(script);
  press(en.home.testCall);
  await screen.findByRole('heading', { name: en.call.heading });
  return backend;
}

/** Everything but contrast, which jsdom can't see: the tests of the tokens and of the painted window do that. */
async function violations() {
  const found = await axe.run(document, { rules: { 'color-contrast': { enabled: false } } });
  return found.violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]);
}

describe('the first run', () => {
  const firstRun = { settings: { first_run_done: false, name: '' } };

  it('opens camera and microphone, and closes them when it is left', async () => {
    const backend = await open(firstRun);
    await waitFor(() => expect(backend.asked).toContain('startPreview'));
    expect(backend.asked).not.toContain('stopPreview');
    press(en.firstRun.skip);
    await screen.findByRole('heading', { name: en.home.greeting('') });
    await waitFor(() => expect(backend.asked).toContain('stopPreview'));
  });

  it('stores the name that was typed, without the spaces around it', async () => {
    const backend = await open(firstRun);
    const field = screen.getByLabelText<HTMLInputElement>(en.firstRun.name);
    field.value = '  Nemo ';
    field.dispatchEvent(new Event('input', { bubbles: true }));
    press(en.firstRun.finish);
    await screen.findByRole('heading', { name: en.home.greeting('Nemo') });
    expect(backend.asked).toContain('changeSettings {"name":"Nemo","first_run_done":true}');
  });

  it('shows how loud the microphone is, and warns when it is too loud', async () => {
    const backend = await open(firstRun);
    await waitFor(() => expect(backend.asked).toContain('startPreview'));
    const meter = screen.getByRole('meter', { name: en.devices.level });
    expect(meter.getAttribute('aria-valuenow')).toBe('0');
    await waitFor(() => {
      backend.emit('level', { level: 1, clipped: true });
      expect(meter.getAttribute('aria-valuenow')).toBe('100');
    });
    expect(screen.getByText(en.devices.tooLoud)).toBeTruthy();
  });

  it('leaves it to the program to open the camera that is chosen', async () => {
    const backend = await open(firstRun);
    const select = screen.getByLabelText<HTMLSelectElement>(en.devices.camera);
    await waitFor(() => expect(select.options).toHaveLength(3));
    await waitFor(() => expect(backend.asked).toContain('startPreview'));
    backend.asked.length = 0;
    select.value = 'cam-2';
    select.dispatchEvent(new Event('change', { bubbles: true }));
    await waitFor(() => expect(backend.asked).toEqual(['changeSettings {"camera":"cam-2"}']));
  });

  it('says in the tile what is wrong with the camera, by its name, and tries again when asked', async () => {
    const preview = { camera: failed('camera_busy', 'Harbour Cam Pro'), microphone: on };
    const backend = await open({ ...firstRun, preview });
    const tile = screen.getByRole('figure', { name: en.tile.yourPicture });
    expect(await within(tile).findByText(en.problems.camera_busy.title)).toBeTruthy();
    expect(within(tile).getByText(/Harbour Cam Pro/)).toBeTruthy();
    expect(screen.getAllByText(en.problems.camera_busy.title)).toHaveLength(1);
    within(tile).getByRole('button', { name: en.common.tryAgain }).click();
    await waitFor(() => expect(backend.asked).toContain('retryDevices'));
    backend.emit('preview', { camera: on, microphone: on });
    await waitFor(() => expect(within(tile).queryByText(en.problems.camera_busy.title)).toBeNull());
  });

  it('says at the list of microphones what is wrong with the one that is chosen', async () => {
    await open({ ...firstRun, preview: { camera: on, microphone: failed('microphone_busy', 'Headset') } });
    const select = screen.getByLabelText<HTMLSelectElement>(en.devices.microphone);
    await waitFor(() => expect(select.getAttribute('aria-invalid')).toBe('true'));
    const note = document.getElementById(select.getAttribute('aria-describedby')!);
    expect(note?.textContent).toContain('Another program keeps Headset for itself');
  });

  it('says at the list of speakers why nothing was played', async () => {
    await open({ ...firstRun, failing: { testSpeaker: failure('speaker_unusable') } });
    press(en.devices.testSpeaker);
    const select = screen.getByLabelText<HTMLSelectElement>(en.devices.speaker);
    await waitFor(() => expect(select.getAttribute('aria-invalid')).toBe('true'));
    expect(screen.queryByRole('alert')).toBeNull();
  });
});

describe('home', () => {
  it('names the devices a call would use', async () => {
    await open({ settings: { camera: 'cam-2' } });
    expect(await screen.findByText('Harbour Cam Pro')).toBeTruthy();
    expect(screen.getByText('Built-in Microphone')).toBeTruthy();
    expect(screen.getByText('USB Headset')).toBeTruthy();
  });

  it('says what is missing before anything is tried', async () => {
    await open({ devices: noDevices });
    expect(await screen.findByText(en.problems.camera_missing.title)).toBeTruthy();
    expect(screen.getByText(en.problems.microphone_missing.title)).toBeTruthy();
    expect(screen.getByText(en.problems.speaker_missing.title)).toBeTruthy();
  });

  it('notices a camera that is plugged in', async () => {
    const backend = await open({ devices: { ...devices, cameras: [] } });
    await screen.findByText(en.problems.camera_missing.title);
    backend.emit('devices', devices);
    await waitFor(() => expect(screen.queryByText(en.problems.camera_missing.title)).toBeNull());
  });

  it('stays where it is when the call can’t start, and says why', async () => {
    await open({ failing: { startTestCall: failure('call_running') } });
    press(en.home.testCall);
    expect((await screen.findByRole('alert')).textContent).toContain(en.problems.call_running.title);
    press(en.common.close);
    await waitFor(() => expect(screen.queryByRole('alert')).toBeNull());
  });

  it('looks for devices again with the focus only where the program does not notice them', async () => {
    const listed = (backend: ScriptedBackend) => backend.asked.filter((asked) => asked === 'devices').length;
    const noticing = await open();
    await screen.findByText(en.about.version('0.1.0'));
    window.dispatchEvent(new Event('focus'));
    expect(listed(noticing)).toBe(1);
    cleanup();
    const blind = await open({ notices: false });
    await screen.findByText(en.about.version('0.1.0'));
    window.dispatchEvent(new Event('focus'));
    await waitFor(() => expect(listed(blind)).toBe(2));
  });
});

describe('the test call', () => {
  it('switches microphone and camera by button and by key', async () => {
    const backend = await openCall();
    press(en.call.mute);
    await screen.findByRole('button', { name: en.call.unmute });
    key('m');
    await screen.findByRole('button', { name: en.call.mute });
    key('V');
    await screen.findByRole('button', { name: en.call.cameraOn });
    const switches = backend.asked.filter((command) => command.startsWith('set'));
    expect(switches).toEqual(['settings', 'setMuted true', 'setMuted false', 'setCameraOn false']);
  });

  it('leaves shortcuts of the system and held keys alone', async () => {
    const backend = await openCall();
    for (const options of [{ ctrlKey: true }, { metaKey: true }, { altKey: true }, { repeat: true }]) {
      document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'm', bubbles: true, ...options }));
    }
    key('m');
    await screen.findByRole('button', { name: en.call.unmute });
    expect(backend.asked.filter((command) => command.startsWith('setMuted'))).toEqual(['setMuted true']);
  });

  it('opens the live numbers and closes them with Escape', async () => {
    const backend = await openCall();
    key('s');
    const panel = await screen.findByRole('complementary', { name: en.stats.heading });
    expect(within(panel).getByText(en.stats.waiting)).toBeTruthy();
    backend.emit('stats', stats(3));
    expect(await within(panel).findByText('1280 × 720')).toBeTruthy();
    expect(within(panel).getAllByRole('figure')).toHaveLength(6);
    const list = (name: string) => within(panel).getByRole('list', { name });
    expect(within(list(en.stats.course)).getAllByRole('listitem')).toHaveLength(6);
    const ways = within(list(en.stats.ways)).getAllByRole('listitem');
    expect(ways).toHaveLength(stats(3).ways.ways.length);
    expect(ways.filter((way) => within(way).queryByText(en.stats.wayInUse))).not.toHaveLength(0);
    key('Escape');
    await waitFor(() => expect(screen.queryByRole('complementary')).toBeNull());
  });

  it('shows what is sent once there is a connection, and each figure once', async () => {
    const backend = await openCall();
    key('s');
    const panel = within(await screen.findByRole('complementary', { name: en.stats.heading }));
    const text = en.stats.sending;
    backend.emit('stats', { ...stats(3), sending: null });
    await panel.findByText('1280 × 720');
    expect(panel.queryByRole('region', { name: text.heading })).toBeNull();
    expect(panel.getAllByText(en.stats.roundTrip)).toHaveLength(1);

    const sending = { ...stats(3).sending!, reason: 'loss', limited_by: 'network' } as const;
    const picture = { width: 960, height: 540, fps: 30, bitrate_kbps: 612 };
    backend.emit('stats', { ...stats(4), sending: { ...sending, target_kbps: 690, picture } });
    const group = within(await panel.findByRole('region', { name: text.heading }));
    expect(group.getByText('690 kbit/s')).toBeTruthy();
    expect(group.getByText('960 × 540, 30 fps, 612 kbit/s')).toBeTruthy();
    expect(group.getByText(text.causes.network)).toBeTruthy();
    expect(group.getByText(text.reasons.loss)).toBeTruthy();
    expect(panel.getAllByText(en.stats.roundTrip)).toHaveLength(1);
    expect(panel.getAllByText(en.stats.loss)).toHaveLength(1);
    expect(await violations()).toEqual([]);

    backend.emit('stats', { ...stats(5), sending: { ...sending, picture: null, limited_by: null } });
    expect(await group.findByText(text.noPicture)).toBeTruthy();
  });

  it('says at both pictures that they are paused while the connection carries sound only', async () => {
    const backend = await openCall();
    backend.emit('stats', paused(1));
    expect(await screen.findAllByText(en.tile.paused)).toHaveLength(2);
    backend.emit('stats', stats(2));
    await waitFor(() => expect(screen.queryByText(en.tile.paused)).toBeNull());
  });

  it('tells how good the connection is', async () => {
    const backend = await openCall();
    backend.emit('stats', stats(0));
    expect(await screen.findByText(en.call.quality.good)).toBeTruthy();
    const bad = stats(1);
    bad.network.loss_percent = 20;
    backend.emit('stats', bad);
    expect(await screen.findByText(en.call.quality.poor)).toBeTruthy();
  });

  it('that fails to show something says so instead of standing still', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const backend = await openCall();
    backend.change({ camera: undefined as never });
    expect(await screen.findByRole('alert')).toBeTruthy();
    backend.change({ camera: running.camera });
    press(en.common.tryAgain);
    expect(await screen.findByRole('heading', { name: en.call.heading })).toBeTruthy();
  });

  it('shows a problem that comes up, in place of the hint about headphones', async () => {
    const backend = await openCall({ system: 'macos' });
    expect(screen.getByText(en.call.headphones)).toBeTruthy();
    backend.change({ problems: [{ code: 'connection_lost', message: '', device: null }] });
    expect(await screen.findByText(en.problems.connection_lost.title)).toBeTruthy();
    expect(screen.queryByText(en.call.headphones)).toBeNull();
  });

  it('without devices has the camera’s trouble in its tile, the rest at its control, and one notice', async () => {
    const codes = ['camera_missing', 'microphone_missing', 'speaker_missing'] as const;
    const [camera, microphone, speaker] = codes.map((code) => failed(code));
    const problems = codes.map((code) => ({ code, message: 'plug one in', device: null }));
    await openCall({
      devices: noDevices,
      snapshot: { ...running, camera, microphone, speaker, problems } as typeof running,
    });
    const tile = screen.getByRole('figure', { name: en.tile.you });
    expect(within(tile).getByText(en.problems.camera_missing.title)).toBeTruthy();
    const described = (name: string) =>
      document.getElementById(
        screen.getByRole('button', { name }).getAttribute('aria-describedby') ?? 'nothing',
      )?.textContent;
    expect(described(en.call.mute)).toBe(en.problems.microphone_missing.title);
    expect(described(en.call.devices)).toBe(en.problems.speaker_missing.title);
    const closers = () => screen.getAllByRole('button', { name: en.common.close });
    expect(closers()).toHaveLength(1);
    expect(screen.getByText(en.problems.microphone_missing.text as string)).toBeTruthy();
    closers()[0]?.click();
    expect(await screen.findByText(en.problems.speaker_missing.text as string)).toBeTruthy();
    expect(closers()).toHaveLength(1);
    expect(screen.queryByText('plug one in')).toBeNull();
  });

  it('offers another device, or another try, where that helps', async () => {
    const camera = failed('camera_busy', 'Harbour Cam Pro');
    const backend = await openCall({ snapshot: { ...running, camera } });
    const tile = screen.getByRole('figure', { name: en.tile.you });
    within(tile).getByRole('button', { name: en.common.tryAgain }).click();
    await waitFor(() => expect(backend.asked).toContain('retryDevices'));
    within(tile).getByRole('button', { name: en.call.devices }).click();
    expect(await screen.findByRole('dialog', { name: en.call.devices })).toBeTruthy();
  });

  it('names the missing plug-in on Linux, where the web view can’t decode', async () => {
    // jsdom has no VideoDecoder, as WebKitGTK without the plug-in.
    await openCall();
    expect(await screen.findByText(en.problems.h264_plugin_missing.title)).toBeTruthy();
    // Each word has an element of its own, so that lines break between them.
    expect(screen.getByText('sudo').closest('code')?.textContent).toContain(
      'sudo apt install gstreamer1.0-libav',
    );
  });

  it('does not name a plug-in where there is none to install', async () => {
    await openCall({ system: 'macos' });
    expect(await screen.findByText(en.call.headphones)).toBeTruthy();
    expect(screen.queryByText(en.problems.h264_plugin_missing.title)).toBeNull();
  });

  it('changes devices and the picture size during the call', async () => {
    const backend = await openCall();
    press(en.call.devices);
    const dialog = await screen.findByRole('dialog', { name: en.call.devices });
    const select = within(dialog).getByLabelText<HTMLSelectElement>(en.devices.microphone);
    select.value = 'mic-2';
    select.dispatchEvent(new Event('change', { bubbles: true }));
    await waitFor(() => expect(backend.asked).toContain('changeSettings {"microphone":"mic-2"}'));
    const size = within(dialog).getByLabelText<HTMLSelectElement>(en.settings.picture);
    size.value = '360p';
    size.dispatchEvent(new Event('change', { bubbles: true }));
    await waitFor(() => expect(backend.asked).toContain('changeSettings {"picture":"360p"}'));
  });

  it('ends with what it was worth', async () => {
    const backend = await openCall();
    press(en.call.hangUp);
    expect(await screen.findByRole('heading', { name: en.summary.good })).toBeTruthy();
    expect(screen.getByText('1:24')).toBeTruthy();
    expect(screen.getByText('312 ms')).toBeTruthy();
    expect(backend.asked).toContain('hangUp');
    press(en.summary.done);
    expect(await screen.findByRole('heading', { name: en.home.greeting('Marina') })).toBeTruthy();
  });

  it('is over when the program says so', async () => {
    const backend = await openCall();
    backend.emit('ended', summary);
    expect(await screen.findByRole('heading', { name: en.summary.good })).toBeTruthy();
  });

  it('says what went wrong when the call was not good, each thing once', async () => {
    const lost = { code: 'microphone_lost', message: '', device: 'USB Headset' } as const;
    await openCall({ summary: { ...summary, ok: false, problems: [lost, lost], latency_ms: null } });
    press(en.call.hangUp);
    expect(await screen.findByRole('heading', { name: en.summary.bad })).toBeTruthy();
    expect(screen.getAllByText(en.problems.microphone_lost.title)).toHaveLength(1);
    expect(screen.getByText(/Plug USB Headset in again/)).toBeTruthy();
    expect(screen.getByText(en.units.notMeasured)).toBeTruthy();
  });
});

describe('the settings', () => {
  async function openSettings(script: Script = {}) {
    const backend = await open(script);
    press(en.home.settings);
    await screen.findByRole('heading', { name: en.settings.heading });
    return backend;
  }

  it('speak the language that is chosen at once', async () => {
    await openSettings();
    const select = screen.getByLabelText<HTMLSelectElement>(en.settings.language);
    select.value = 'zh';
    select.dispatchEvent(new Event('change', { bubbles: true }));
    expect(await screen.findByRole('heading', { name: zh.settings.heading })).toBeTruthy();
    expect(document.documentElement.lang).toBe('zh-Hans');
  });

  it('paint in the theme that is chosen at once', async () => {
    await openSettings();
    const select = screen.getByLabelText<HTMLSelectElement>(en.settings.theme);
    for (const theme of ['dark', 'light']) {
      select.value = theme;
      select.dispatchEvent(new Event('change', { bubbles: true }));
      await waitFor(() => expect(document.documentElement.dataset.theme).toBe(theme));
    }
  });

  it('hold the camera only while its page is open', async () => {
    const backend = await openSettings();
    expect(backend.asked).not.toContain('startPreview');
    screen.getByRole('tab', { name: en.settings.pages.video }).click();
    await waitFor(() => expect(backend.asked).toContain('startPreview'));
    screen.getByRole('tab', { name: en.settings.pages.about }).click();
    await waitFor(() => expect(backend.asked).toContain('stopPreview'));
  });

  it('have the choice when power is saved beside the camera', async () => {
    const backend = await openSettings();
    screen.getByRole('tab', { name: en.settings.pages.video }).click();
    const select = await screen.findByLabelText<HTMLSelectElement>(en.settings.savePower);
    expect(select.value).toBe('auto');
    select.value = 'never';
    select.dispatchEvent(new Event('change', { bubbles: true }));
    await waitFor(() => expect(backend.asked).toContain('changeSettings {"save_power":"never"}'));
  });

  it('say that a chosen device is not there, and keep the choice', async () => {
    await openSettings({ settings: { speaker: 'gone' } });
    screen.getByRole('tab', { name: en.settings.pages.audio }).click();
    const select = await screen.findByLabelText<HTMLSelectElement>(en.devices.speaker);
    expect(await screen.findByText(new RegExp(en.problems.speaker_not_connected.title))).toBeTruthy();
    expect(select.value).toBe('gone');
    expect(select.getAttribute('aria-invalid')).toBe('true');
  });

  it('close with Escape', async () => {
    await openSettings();
    key('Escape');
    expect(await screen.findByRole('heading', { name: en.home.greeting('Marina') })).toBeTruthy();
  });
});

it('a program that does not answer is said to, and asked again', async () => {
  const failing = new ScriptedBackend({
    failing: { settings: failure('no_answer', 'The file is damaged.') },
  });
  const answers = [failing, new ScriptedBackend()];
  render(Start, { connect: () => Promise.resolve(answers.shift()!) });
  expect(await screen.findByRole('heading', { name: en.failure.heading })).toBeTruthy();
  expect(screen.getByText('The file is damaged.')).toBeTruthy();
  expect(await violations()).toEqual([]);
  press(en.common.tryAgain);
  expect(await screen.findByRole('heading', { name: en.home.greeting('Marina') })).toBeTruthy();
});

describe.each(['en', 'zh'] as const)('in %s', (language) => {
  const text = { en, zh }[language];
  const words = { settings: { language } };

  it('nobody is kept out of the first run', async () => {
    await open({ settings: { language, first_run_done: false } });
    await screen.findByText(text.devices.levelHint);
    expect(await violations()).toEqual([]);
  });

  it('nobody is kept out of home, with all notices', async () => {
    await open({ ...words, devices: noDevices });
    await screen.findByText(text.problems.speaker_missing.title);
    await screen.findByText(text.about.version('0.1.0'));
    expect(await violations()).toEqual([]);
  });

  it('nobody is kept out of the call, with all that can be open', async () => {
    const backend = await open({ ...words, snapshot: { ...running, muted: true } });
    press(text.home.testCall);
    await screen.findByRole('heading', { name: text.call.heading });
    backend.emit('stats', stats(1));
    key('s');
    await screen.findByText(text.stats.course);
    expect(await violations()).toEqual([]);
    key('d');
    await screen.findByRole('dialog');
    expect(await violations()).toEqual([]);
  });

  it('nobody is kept out of the summary', async () => {
    const backend = await open(words);
    press(text.home.testCall);
    await screen.findByRole('heading', { name: text.call.heading });
    expect(backend.asked).toContain('startTestCall');
    press(text.call.hangUp);
    await screen.findByRole('heading', { name: text.summary.good });
    expect(await violations()).toEqual([]);
  });

  it('nobody is kept out of any page of the settings', async () => {
    await open(words);
    press(text.home.settings);
    await screen.findByRole('heading', { name: text.settings.heading });
    for (const name of Object.values(text.settings.pages)) {
      const tab = screen.getByRole('tab', { name });
      tab.click();
      await waitFor(() => expect(tab.getAttribute('aria-selected')).toBe('true'));
      expect(await violations(), name).toEqual([]);
    }
  });
});

describe('other people', () => {
  const type = (label: string, value: string) => {
    const field = screen.getByLabelText<HTMLInputElement>(label);
    field.value = value;
    field.dispatchEvent(new Event('input', { bubbles: true }));
  };

  /** Presses a button that has to become ready first. */
  async function submit(name: string) {
    const button = screen.getByRole<HTMLButtonElement>('button', { name });
    await waitFor(() => expect(button.disabled).toBe(false));
    button.click();
  }

  async function openCallWith(script: Script = {}) {
    const backend = await open({ people, ...script });
    await screen.findByText(en.people.signedInAs('Marina', 'marina'));
    press(en.people.callWithVideo('Ada Lovelace'));
    await screen.findByRole('heading', { level: 1, name: personCall.name });
    return backend;
  }

  it('takes up the sign-in of the last time', async () => {
    const backend = await open();
    await waitFor(() => expect(backend.asked).toContain('resumeSignIn'));
    backend.emit('people', people);
    expect(await screen.findByText(en.people.signedInAs('Marina', 'marina'))).toBeTruthy();
  });

  it('signs in, and shows the contacts', async () => {
    const backend = await open();
    press(en.people.signIn);
    await screen.findByRole('heading', { level: 1, name: en.signIn.heading });
    const button = screen.getByRole<HTMLButtonElement>('button', { name: en.signIn.signIn });
    expect(button.disabled).toBe(true);
    type(en.signIn.server, 'https://call.example.org');
    type(en.signIn.handle, 'marina');
    type(en.signIn.password, 'correct horse battery');
    await submit(en.signIn.signIn);
    expect(await screen.findByText('Grace Hopper')).toBeTruthy();
    expect(backend.asked).toContain('signIn marina');
    expect(screen.getByText(`grace.hopper · ${en.people.presence.in_call}`)).toBeTruthy();
  });

  it('says what is wrong with what was typed, and stays', async () => {
    await open({ failing: { signIn: failure('wrong_credentials') } });
    press(en.people.signIn);
    await screen.findByRole('heading', { level: 1, name: en.signIn.heading });
    type(en.signIn.server, 'https://call.example.org');
    type(en.signIn.handle, 'marina');
    type(en.signIn.password, 'correct horse battery');
    await submit(en.signIn.signIn);
    expect(await screen.findByText(en.problems.wrong_credentials.title)).toBeTruthy();
    expect(screen.getByLabelText<HTMLInputElement>(en.signIn.password).value).not.toBe('');
  });

  it('shows the recovery codes of a new account until they are kept', async () => {
    await open();
    press(en.people.signIn);
    await screen.findByRole('heading', { level: 1, name: en.signIn.heading });
    press(en.signIn.toSignUp);
    await screen.findByRole('heading', { level: 1, name: en.signIn.signUpHeading });
    type(en.signIn.server, 'https://call.example.org');
    type(en.signIn.handle, 'marina');
    type(en.signIn.password, 'correct horse battery');
    await submit(en.signIn.signUp);
    expect(await screen.findByText(recoveryCodes[0]!)).toBeTruthy();
    press(en.signIn.codesKept);
    expect(await screen.findByText(en.people.nobody)).toBeTruthy();
  });

  it('puts those who ask first, and answers them', async () => {
    const backend = await open({ people });
    await screen.findByText('Edith Clarke');
    const list = within(screen.getByRole('region', { name: en.people.heading }));
    expect(list.getAllByRole('listitem')[0]?.textContent).toContain('Edith Clarke');
    press(en.people.agree);
    await waitFor(() => expect(backend.asked).toContain('addContact edith'));
    press(en.people.withdraw);
    await waitFor(() => expect(backend.asked).toContain('removeContact charles'));
  });

  it('asks someone by their handle', async () => {
    const backend = await open({ people });
    await screen.findByText('Edith Clarke');
    type(en.people.add, ' grace ');
    await submit(en.people.addAction);
    await waitFor(() => expect(backend.asked).toContain('addContact grace'));
  });

  it('calls a contact, shows how far the call is, and what it was worth', async () => {
    const backend = await openCallWith();
    expect(backend.asked).toContain('call ada true');
    expect(screen.getAllByText(en.people.stage.calling).length).toBeGreaterThan(0);
    backend.emit('calls', {
      current: { ...personCall, camera_there: false, muted_there: true },
      ringing: [],
    });
    const tile = screen.getByRole('figure', { name: 'Ada Lovelace' });
    expect(await within(tile).findByText(en.tile.cameraOff)).toBeTruthy();
    expect(within(tile).getByText(en.tile.muted)).toBeTruthy();
    press(en.people.hold);
    await waitFor(() => expect(backend.asked).toContain('setHeld true'));
    const ending = { handle: 'ada', name: 'Ada Lovelace', outgoing: true, how: 'hung_up' } as const;
    backend.emit('calls', { current: null, ringing: [] });
    backend.emit('ended', { ...summary, with: ending });
    expect(await screen.findByText(en.people.ending.hung_up('Ada Lovelace'))).toBeTruthy();
    press(en.summary.again);
    await screen.findByRole('heading', { level: 1, name: 'Ada Lovelace' });
  });

  it('says at one’s own picture that it is paused, and tells those who hear the page when that changes', async () => {
    const backend = await openCallWith();
    backend.emit('calls', { current: personCall, ringing: [] });
    const own = screen.getByRole('figure', { name: en.tile.you });
    const other = screen.getByRole('figure', { name: 'Ada Lovelace' });
    const news = (words: string) =>
      screen.queryAllByRole('status').filter(({ textContent }) => textContent === words);
    backend.emit('stats', stats(1));
    expect(within(own).queryByText(en.tile.paused)).toBeNull();
    backend.emit('stats', paused(2));
    expect(await within(own).findByText(en.tile.paused)).toBeTruthy();
    expect(within(own).getByText(en.tile.comesBack)).toBeTruthy();
    expect(own.querySelector('.picture')).toBeNull();
    expect(other.querySelector('.picture')).not.toBeNull();
    expect(news(en.tile.pausedNews)).toHaveLength(1);
    expect(screen.getByText(en.call.quality.poor)).toBeTruthy();
    expect(await violations()).toEqual([]);
    backend.emit('stats', stats(3));
    await waitFor(() => expect(within(own).queryByText(en.tile.paused)).toBeNull());
    expect(own.querySelector('.picture')).not.toBeNull();
    expect(news(en.tile.backNews)).toHaveLength(1);
  });

  it('has no video come back that was turned off meanwhile', async () => {
    const backend = await openCallWith();
    backend.emit('calls', { current: personCall, ringing: [] });
    backend.emit('stats', paused(1));
    await screen.findByText(en.tile.pausedNews);
    backend.change({ camera: off });
    const own = screen.getByRole('figure', { name: en.tile.you });
    expect(await within(own).findByText(en.tile.cameraOff)).toBeTruthy();
    expect(screen.queryByText(en.tile.pausedNews)).toBeNull();
    expect(screen.queryByText(en.tile.backNews)).toBeNull();
  });

  it('does not call a video paused that is held, or that nobody is there for', async () => {
    const backend = await openCallWith();
    const own = screen.getByRole('figure', { name: en.tile.you });
    const tell = (current: typeof personCall) => backend.emit('calls', { current, ringing: [] });
    for (const change of [{ held: true }, { held_there: true }, { user: '', stage: 'calling' as const }]) {
      tell(personCall);
      backend.emit('stats', paused(1));
      await within(own).findByText(en.tile.paused);
      tell({ ...personCall, ...change });
      await waitFor(() => expect(within(own).queryByText(en.tile.paused)).toBeNull());
      expect(screen.queryByText(en.tile.backNews)).toBeNull();
    }
  });

  it.each([
    ['pictures that nobody looks at', { limited_by: 'viewer' }],
    ['a camera that gives nothing yet', { limited_by: null }],
  ] as const)('blames no weak connection for %s', async (_, change) => {
    const backend = await openCallWith();
    backend.emit('calls', { current: personCall, ringing: [] });
    backend.emit('stats', { ...stats(1), sending: { ...paused(1).sending!, ...change } });
    await screen.findByText(en.call.quality.good);
    expect(screen.queryByText(en.tile.paused)).toBeNull();
  });

  it('says where the other’s picture would be that it is paused, until it is back', async () => {
    const backend = await openCallWith();
    const tell = (change: Partial<typeof personCall>) =>
      backend.emit('calls', { current: { ...personCall, ...change }, ringing: [] });
    const tile = screen.getByRole('figure', { name: 'Ada Lovelace' });
    tell({ paused_there: true });
    expect(await within(tile).findByText(en.tile.pausedThere)).toBeTruthy();
    expect(within(tile).getByText(en.tile.comesBack)).toBeTruthy();
    expect(tile.querySelector('.picture')).toBeNull();
    expect(screen.queryByRole('alert')).toBeNull();
    tell({ paused_there: true, camera_there: false });
    expect(await within(tile).findByText(en.tile.cameraOff)).toBeTruthy();
    expect(within(tile).queryByText(en.tile.comesBack)).toBeNull();
    tell({ paused_there: true, held_there: true });
    expect(await within(tile).findByText(en.people.heldThere('Ada Lovelace'))).toBeTruthy();
    tell({});
    await waitFor(() => expect(within(tile).queryByText(en.tile.pausedThere)).toBeNull());
    expect(tile.querySelector('.picture')).not.toBeNull();
  });

  it('counts nothing of a call that was declined', async () => {
    const backend = await openCallWith();
    const ending = { handle: 'ada', name: 'Ada Lovelace', outgoing: true, how: 'declined' } as const;
    backend.emit('calls', { current: null, ringing: [] });
    backend.emit('ended', { ...summary, seconds: 0, with: ending });
    expect(await screen.findByText(en.people.ending.declined('Ada Lovelace'))).toBeTruthy();
    expect(screen.queryByText(en.summary.lasted)).toBeNull();
  });

  it('rings over every view, and takes or declines the call', async () => {
    const backend = await open({ people });
    await screen.findByText('Edith Clarke');
    backend.emit('calls', { current: null, ringing: [ringingCall] });
    const dialog = await screen.findByRole('alertdialog', { name: 'Ada Lovelace' });
    within(dialog).getByRole('button', { name: en.people.decline }).click();
    await waitFor(() => expect(screen.queryByRole('alertdialog')).toBeNull());
    expect(backend.asked).toContain('decline c_1');
    backend.emit('calls', { current: null, ringing: [ringingCall] });
    const again = await screen.findByRole('alertdialog', { name: 'Ada Lovelace' });
    within(again).getByRole('button', { name: en.people.acceptVoice }).click();
    await screen.findByRole('heading', { level: 1, name: 'Ada Lovelace' });
    expect(backend.asked).toContain('accept c_1 false');
  });

  it('has the system announce a call to who looks at something else, once', async () => {
    const focus = vi.spyOn(document, 'hasFocus').mockReturnValue(true);
    const backend = await open({ people });
    await screen.findByText('Edith Clarke');
    backend.emit('calls', { current: null, ringing: [ringingCall] });
    await screen.findByRole('alertdialog');
    const announced = () => backend.asked.filter((asked) => asked.startsWith('announce'));
    expect(announced()).toEqual([]);
    focus.mockReturnValue(false);
    window.dispatchEvent(new Event('blur'));
    const once = [`announce call Ada Lovelace ${en.people.callsWithVideo}`];
    await waitFor(() => expect(announced()).toEqual(once));
    backend.emit('calls', { current: null, ringing: [ringingCall] });
    expect(announced()).toEqual(once);
    focus.mockRestore();
  });

  it('tells of a call that was missed, until it is put away', async () => {
    const backend = await open({ people, recentCalls });
    expect(await screen.findByText(en.people.missed('Captain Nemo'))).toBeTruthy();
    press(en.common.close);
    await waitFor(() => expect(backend.asked).toContain('recentCallsSeen'));
  });

  it('lists the latest calls, and calls back as one was called', async () => {
    const backend = await open({ people, recentCalls });
    const list = await screen.findByRole('region', { name: en.talk.recent });
    expect(within(list).getByText(/30:34/)).toBeTruthy();
    expect(within(list).getByText(new RegExp(en.talk.how.no_answer))).toBeTruthy();
    within(list)
      .getAllByRole('button', { name: en.talk.callBack('Captain Nemo') })[0]!
      .click();
    await waitFor(() => expect(backend.asked).toContain('call nemo false'));
  });

  it('says how the connection to the server is', async () => {
    const backend = await open({ people: { ...people, connection: 'gave_up' } });
    expect(await screen.findByText(en.people.connection.gave_up.title)).toBeTruthy();
    press(en.common.tryAgain);
    await waitFor(() => expect(backend.asked).toContain('reconnect'));
    backend.emit('people', { ...people, connection: 'connecting' });
    expect(await screen.findByText(en.people.connection.connecting.title)).toBeTruthy();
  });

  it('keeps nobody out: contacts, ringing, signing in and the call', async () => {
    const backend = await open({ people });
    await screen.findByText('Edith Clarke');
    backend.emit('calls', { current: null, ringing: [ringingCall] });
    await screen.findByRole('alertdialog');
    expect(await violations()).toEqual([]);
    backend.emit('calls', { current: null, ringing: [] });
    press(en.people.callWithVideo('Ada Lovelace'));
    await screen.findByRole('heading', { level: 1, name: 'Ada Lovelace' });
    expect(await violations()).toEqual([]);
  });

  it('keeps nobody out of signing in', async () => {
    await open();
    press(en.people.signIn);
    await screen.findByRole('heading', { level: 1, name: en.signIn.heading });
    expect(await violations()).toEqual([]);
  });
});

describe('an invite link', () => {
  const link = 'https://call.example.org/join/r_70sawtt1qqjn1p3fpe3efyhv6z#eyJ0eXAiOiJpbnZpdGUrand0';
  const invitation = { link, server: 'https://call.example.org' };

  function paste(words: string) {
    const field = screen.getByLabelText<HTMLInputElement>(en.join.link);
    field.value = words;
    field.dispatchEvent(new Event('input', { bubbles: true }));
  }

  async function submit(name: string) {
    const button = screen.getByRole<HTMLButtonElement>('button', { name });
    await waitFor(() => expect(button.disabled).toBe(false));
    button.click();
  }

  it('that is pasted says where it leads before anybody goes there, and joins under a name', async () => {
    const backend = await open();
    paste(` ${link} `);
    await submit(en.join.open);
    const dialog = within(await screen.findByRole('dialog', { name: en.join.title }));
    expect(dialog.getByText(en.join.where('https://call.example.org'))).toBeTruthy();
    expect(backend.asked.some((asked) => asked.startsWith('joinLink'))).toBe(false);
    expect(await violations()).toEqual([]);
    dialog.getByRole('button', { name: en.join.withVideo }).click();
    await screen.findByRole('heading', { level: 1, name: en.invite.title });
    expect(backend.asked).toContain(`joinLink ${link} Marina true`);
    expect(screen.getAllByText(en.people.stage.waiting).length).toBeGreaterThan(0);
    expect(screen.queryByRole('dialog')).toBeNull();
  });

  it('that the program was started with is asked about, and can be put away', async () => {
    const backend = await open({ invitation });
    const dialog = await screen.findByRole('dialog', { name: en.join.title });
    within(dialog).getByRole('button', { name: en.common.close }).click();
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull());
    expect(backend.asked.some((asked) => asked.startsWith('joinLink'))).toBe(false);
  });

  it('that is put away while its server is asked leads into no call', async () => {
    const backend = await open({ invitation, silent: 'joinLink' });
    const dialog = within(await screen.findByRole('dialog', { name: en.join.title }));
    dialog.getByRole('button', { name: en.join.withVideo }).click();
    await waitFor(() => expect(backend.asked).toContain(`joinLink ${link} Marina true`));
    dialog.getByRole('button', { name: en.common.close }).click();
    await waitFor(() => expect(backend.asked).toContain('hangUp'));
    expect(screen.queryByRole('dialog')).toBeNull();
  });

  it('that is no good any more is said to be so, and the dialog stays', async () => {
    await open({ invitation, failing: { joinLink: failure('invite_invalid') } });
    const dialog = within(await screen.findByRole('dialog', { name: en.join.title }));
    dialog.getByRole('button', { name: en.join.withVoice }).click();
    expect(await dialog.findByText(en.problems.invite_invalid.title)).toBeTruthy();
  });

  it('that is none is refused where it was pasted', async () => {
    await open({ failing: { openLink: failure('link_refused') } });
    paste('https://example.org');
    await submit(en.join.open);
    expect(await screen.findByText(en.problems.link_refused.title)).toBeTruthy();
    expect(screen.getByLabelText<HTMLInputElement>(en.join.link).value).toBe('https://example.org');
  });
});

describe('calls on the network', () => {
  const nearby = [{ name: 'Ada Lovelace', link: 'https://192.0.2.7:7447/join/r_1#eyJhbGciOi&pin=x' }];

  it('are looked for while they are shown, and joined by their link', async () => {
    const backend = await open({ nearby });
    (await screen.findByRole('button', { name: en.nearby.join('Ada Lovelace') })).click();
    const dialog = within(await screen.findByRole('dialog', { name: en.join.title }));
    expect(dialog.getByText(en.join.where('https://192.0.2.7:7447'))).toBeTruthy();
    dialog.getByRole('button', { name: en.common.close }).click();
    press(en.home.settings);
    await waitFor(() => expect(backend.asked).toContain('stopLookingNearby'));
  });

  it('of two hosts of the same name are told apart by their addresses', async () => {
    const other = { name: 'Ada Lovelace', link: 'https://192.0.2.9:7447/join/r_2#eyJhbGciOi&pin=y' };
    const backend = await open({ nearby: [...nearby, other] });
    const list = within(await screen.findByRole('region', { name: en.nearby.heading }));
    const second = within((await list.findByText('192.0.2.9')).closest('li')!);
    expect(list.getByText('192.0.2.7')).toBeTruthy();
    second.getByRole('button', { name: en.nearby.join('Ada Lovelace') }).click();
    await waitFor(() => expect(backend.asked).toContain(`openLink ${other.link}`));
  });

  it('are hosted here under one’s name, with the browser’s warning explained beforehand', async () => {
    const backend = await open();
    press(en.nearby.host);
    await screen.findByRole('heading', { level: 1, name: en.invite.title });
    expect(backend.asked).toContain('startHostedCall Marina true');
    expect(screen.getByText(en.invite.browserWarns)).toBeTruthy();
  });

  it('let in who waits, or turn them away', async () => {
    const backend = await open();
    press(en.nearby.host);
    await screen.findByRole('heading', { level: 1, name: en.invite.title });
    const lobby = [{ participant: 'p_1', name: 'Grace' }];
    backend.emit('calls', { current: { ...linkCall, hosted: true, lobby }, ringing: [] });
    expect(await screen.findByText(en.lobby.waits('Grace'))).toBeTruthy();
    expect(await violations()).toEqual([]);
    press(en.lobby.refuse('Grace'));
    press(en.lobby.admit('Grace'));
    await waitFor(() => expect(backend.asked).toContain('answerLobby p_1 true'));
    expect(backend.asked).toContain('answerLobby p_1 false');
  });
});

describe('messages', () => {
  const script = { people, conversations, messages };

  beforeEach(() => {
    vi.spyOn(document, 'hasFocus').mockReturnValue(true);
  });

  async function openChat(given: Script = script) {
    const backend = await open(given);
    (await screen.findByRole('button', { name: en.talk.open('Ada Lovelace') })).click();
    await screen.findByRole('heading', { level: 1, name: 'Ada Lovelace' });
    return backend;
  }

  function type(words: string) {
    const field = screen.getByLabelText<HTMLTextAreaElement>(en.talk.write);
    field.value = words;
    field.dispatchEvent(new Event('input', { bubbles: true }));
    return field;
  }

  const enter = (field: HTMLElement, more: KeyboardEventInit = {}) =>
    field.dispatchEvent(
      new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ...more }),
    );

  it('are counted at whoever wrote them, and seen when they are opened', async () => {
    const backend = await open({ people, conversations });
    (await screen.findByRole('button', { name: en.talk.openNew('Captain Nemo', '2') })).click();
    await waitFor(() => expect(backend.asked).toContain('messagesSeen u_nemo'));
  });

  it('are not seen while the window is in the background', async () => {
    vi.mocked(document.hasFocus).mockReturnValue(false);
    const backend = await open({ people, conversations });
    (await screen.findByRole('button', { name: en.talk.openNew('Captain Nemo', '2') })).click();
    await waitFor(() => expect(backend.asked).toContain('messages u_nemo'));
    await screen.findByRole('log');
    expect(backend.asked).not.toContain('messagesSeen u_nemo');
    vi.mocked(document.hasFocus).mockReturnValue(true);
    window.dispatchEvent(new Event('focus'));
    await waitFor(() => expect(backend.asked).toContain('messagesSeen u_nemo'));
  });

  it('show who wrote what, and how far the last one is', async () => {
    await openChat();
    const log = await screen.findByRole('log', { name: en.talk.with('Ada Lovelace') });
    await within(log).findByText(/Ten is fine/);
    expect(log.querySelectorAll('[data-state="received"]')).toHaveLength(3);
    expect(within(log).getByText(new RegExp(en.talk.state.delivered))).toBeTruthy();
    expect(await violations()).toEqual([]);
  });

  it('are sent by Enter, while Shift+Enter and an input method keep it', async () => {
    const backend = await openChat();
    const field = type('  See you  ');
    enter(field, { shiftKey: true });
    enter(field, { isComposing: true });
    expect(backend.asked.some((asked) => asked.startsWith('writeMessage'))).toBe(false);
    enter(field);
    await waitFor(() => expect(backend.asked).toContain('writeMessage u_ada See you'));
    await waitFor(() => expect(field.value).toBe(''));
  });

  it('keep what was typed when it could not be taken', async () => {
    await openChat({ ...script, failing: { writeMessage: failure('history_unusable') } });
    const field = type('Do not lose me');
    enter(field);
    expect(await screen.findByText(en.problems.history_unusable.title)).toBeTruthy();
    expect(field.value).toBe('Do not lose me');
  });

  it('that were refused can be sent again', async () => {
    const lost = { ...messages[4]!, message: 'n_lost', state: 'failed' as const };
    const backend = await openChat({ ...script, messages: [...messages, lost] });
    (await screen.findByRole('button', { name: en.talk.again })).click();
    await waitFor(() => expect(backend.asked).toContain('sendAgain n_lost'));
  });

  it('are fetched page by page, and stay when new ones come', async () => {
    const page = Array.from({ length: 50 }, (_, at) => ({
      ...messages[0]!,
      message: `n_page_${at}`,
      text: `line ${at}`,
    }));
    const given = { ...script, messages: page };
    const backend = await openChat(given);
    await screen.findByText('line 49');
    press(en.talk.older);
    await waitFor(() => expect(backend.asked).toContain('messages u_ada n_page_0'));
    given.messages = [...page.slice(1), { ...messages[0]!, message: 'n_new', text: 'the newest' }];
    backend.emit('messages_changed', undefined);
    await screen.findByText('the newest');
    expect(screen.getByText('line 0')).toBeTruthy();
  });

  it('are beside the pictures in a call, where letters are no shortcuts', async () => {
    const backend = await open(script);
    (await screen.findByRole('button', { name: en.people.callWithVideo('Ada Lovelace') })).click();
    await screen.findByRole('heading', { level: 1, name: 'Ada Lovelace' });
    key('t');
    const field = await screen.findByLabelText(en.talk.write);
    field.dispatchEvent(new KeyboardEvent('keydown', { key: 'm', bubbles: true }));
    expect(backend.asked.some((asked) => asked.startsWith('setMuted'))).toBe(false);
    await screen.findByText(/Ten is fine/);
    key('Escape');
    await waitFor(() => expect(screen.queryByLabelText(en.talk.write)).toBeNull());
  });

  it('of whoever was signed in are gone when they sign out', async () => {
    await open({ people, conversations, recentCalls });
    await screen.findByRole('button', { name: en.talk.openNew('Captain Nemo', '2') });
    press(en.people.signOut);
    await screen.findByText(en.people.invitation);
    expect(screen.queryByText(en.people.missed('Captain Nemo'))).toBeNull();
    expect(screen.queryByRole('region', { name: en.talk.recent })).toBeNull();
  });
});

describe('a call by link', () => {
  it('shows the link and its code until somebody comes, and lets it be copied', async () => {
    const copied = vi.fn().mockResolvedValue(undefined);
    vi.stubGlobal('navigator', Object.assign(navigator, { clipboard: { writeText: copied } }));
    const backend = await open({ people });
    (await screen.findByRole('button', { name: en.invite.start })).click();
    await screen.findByRole('heading', { level: 1, name: en.invite.title });
    expect(backend.asked).toContain('startLinkCall true');
    const { url } = linkCall.link!;
    expect(screen.getByLabelText<HTMLInputElement>(en.invite.link).value).toBe(url);
    expect(screen.getByRole('img', { name: en.invite.code })).toBeTruthy();
    press(en.invite.copy);
    await screen.findByText(en.copy.done);
    expect(copied).toHaveBeenCalledWith(url);
    expect(await violations()).toEqual([]);
    const came = { ...linkCall, user: 'u_guest', name: 'Charles', stage: 'connected' as const };
    backend.emit('calls', { current: came, ringing: [] });
    await screen.findByRole('heading', { level: 1, name: 'Charles' });
    expect(screen.queryByLabelText(en.invite.link)).toBeNull();
  });

  it('promises nobody that what is said in it is kept', async () => {
    const backend = await open({ people });
    (await screen.findByRole('button', { name: en.invite.start })).click();
    const came = { ...linkCall, user: 'u_guest', name: 'Charles', stage: 'connected' as const };
    await screen.findByRole('heading', { level: 1, name: en.invite.title });
    backend.emit('calls', { current: came, ringing: [] });
    (await screen.findByRole('button', { name: en.call.messages })).click();
    await screen.findByText(en.talk.empty('Charles'));
    expect(screen.queryByText(en.talk.keeps)).toBeNull();
  });

  it('is made only where there is a server', async () => {
    await open({ people: { ...people, connection: 'connecting' } });
    const button = await screen.findByRole<HTMLButtonElement>('button', { name: en.invite.start });
    expect(button.disabled).toBe(true);
  });

  it('is offered again afterwards, since who came by it can’t be called', async () => {
    const ended = {
      ...summary,
      with: { handle: '', name: 'Charles', outgoing: true, how: 'hung_up' as const },
    };
    const backend = await open({ people, summary: ended });
    (await screen.findByRole('button', { name: en.invite.start })).click();
    await screen.findByRole('heading', { level: 1, name: en.invite.title });
    press(en.call.hangUp);
    await screen.findByRole('heading', { name: en.people.ending.hung_up('Charles') });
    backend.asked.length = 0;
    press(en.summary.again);
    await waitFor(() => expect(backend.asked).toContain('startLinkCall true'));
  });
});

describe('files', () => {
  const files = en.files;
  const tray = () => screen.findByRole('region', { name: files.heading });
  /** A button of one transfer. */
  const act = (action: string) => new RegExp(`^${action}: `);
  const asked = (backend: ScriptedBackend, command: string) =>
    backend.asked.filter((asked) => asked.startsWith(command));

  it('shows what moves, how fast, and for how long, and can stop it', async () => {
    const backend = await open({ people });
    await screen.findByText('Edith Clarke');
    backend.emit('transfer', transfer);
    const open_ = await tray();
    expect(within(open_).getByText(files.from('Ada Lovelace'))).toBeTruthy();
    expect(within(open_).getByText(/173 MB of 412 MB · 11 MB\/s · 21 seconds left/)).toBeTruthy();
    const bar = within(open_).getByRole<HTMLProgressElement>('progressbar');
    expect(bar.value).toBeCloseTo(173 / 412);
    within(open_)
      .getByRole('button', { name: act(files.pause) })
      .click();
    await waitFor(() => expect(backend.asked).toContain(`setTransferPaused ${transfer.id} all true`));
    backend.emit('transfer', { ...transfer, paused_here: true });
    (await within(open_).findByRole('button', { name: act(files.resume) })).click();
    await waitFor(() => expect(backend.asked).toContain(`setTransferPaused ${transfer.id} all false`));
    within(open_)
      .getByRole('button', { name: act(files.cancel) })
      .click();
    await waitFor(() => expect(backend.asked).toContain(`cancelTransfer ${transfer.id} all`));
    expect(await violations()).toEqual([]);
  });

  it('takes what is offered, all of it or a part, and remembers whom one trusts', async () => {
    const backend = await open({ people });
    await screen.findByText('Edith Clarke');
    backend.emit('transfer', offer);
    const open_ = await tray();
    expect(within(open_).getByText(files.offers('Ada Lovelace'))).toBeTruthy();
    expect(screen.getByRole('status').textContent).toBe(files.offers('Ada Lovelace'));
    within(open_)
      .getByRole('button', { name: act(files.details) })
      .click();
    (await within(open_).findByRole('checkbox', { name: 'Pier at dusk.jpg' })).click();
    within(open_)
      .getByRole('checkbox', { name: files.always('Ada Lovelace') })
      .click();
    (await within(open_).findByRole('button', { name: files.acceptSome('1') })).click();
    await waitFor(() => expect(backend.asked).toContain(`acceptFiles ${offer.id} 0 false`));
    await waitFor(() =>
      expect(asked(backend, 'changeSettings')).toEqual(['changeSettings {"files_from":["u_ada"]}']),
    );
    expect(await violations()).toEqual([]);
  });

  it('declines, and saves elsewhere', async () => {
    const backend = await open({ people, transfers: [offer] });
    (await screen.findByRole('button', { name: files.open('1') })).click();
    const open_ = await tray();
    within(open_).getByRole('button', { name: files.elsewhere }).click();
    await waitFor(() => expect(backend.asked).toContain(`acceptFiles ${offer.id} all true`));
    within(open_).getByRole('button', { name: files.decline }).click();
    await waitFor(() => expect(backend.asked).toContain(`declineFiles ${offer.id}`));
    expect(asked(backend, 'changeSettings')).toEqual([]);
  });

  it('says of each that is over how it ended, and puts all of them away', async () => {
    const backend = await open({ people, transfers: [transfer, ...otherTransfers] });
    (await screen.findByRole('button', { name: files.open('4', '42%') })).click();
    const open_ = await tray();
    expect(within(open_).getByText(files.someFailed('3'))).toBeTruthy();
    expect(within(open_).getByText(files.troubles.changed)).toBeTruthy();
    expect(within(open_).getByText(/12 MB of 31 MB · Goes on when you and Captain Nemo/)).toBeTruthy();
    within(open_)
      .getByRole('button', { name: act(files.show) })
      .click();
    await waitFor(() => expect(backend.asked).toContain(`showTransfer ${otherTransfers[1]!.id}`));
    within(open_).getByRole('button', { name: files.dismissAll }).click();
    await waitFor(() => expect(within(open_).queryByText('Harbour plan.svg')).toBeNull());
    expect(asked(backend, 'dismissTransfer')).toHaveLength(2);
    expect(within(open_).getByText('Log book.pdf')).toBeTruthy();
  });

  it('sends from the conversation to whom it is with', async () => {
    const backend = await open({ people, conversations, messages });
    await screen.findByText('Edith Clarke');
    press(en.talk.open('Ada Lovelace'));
    await screen.findByRole('heading', { level: 1, name: 'Ada Lovelace' });
    press(files.send('Ada Lovelace'));
    const dialog = await screen.findByRole('dialog', { name: files.send('Ada Lovelace') });
    expect(await violations()).toEqual([]);
    within(dialog).getByRole('button', { name: files.chooseFolder }).click();
    await waitFor(() => expect(backend.asked).toContain('sendPicked u_ada'));
    expect(backend.asked).toContain('pickFiles folders');
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull());
  });

  it('asks for whom it is what is dropped on no one in particular, and sends nothing if that is closed', async () => {
    const backend = await open({ people });
    await screen.findByText('Edith Clarke');
    backend.emit('files_dragged', true);
    expect(await screen.findByText(files.drop)).toBeTruthy();
    backend.emit('files_dragged', false);
    backend.emit('files_picked', { names: ['Log book.pdf'], count: 3 });
    const dialog = await screen.findByRole('dialog', { name: files.toWhom });
    expect(within(dialog).getByText(`Log book.pdf, ${files.more('2')}`)).toBeTruthy();
    expect(within(dialog).getAllByRole('listitem')).toHaveLength(3);
    within(dialog).getByRole('button', { name: en.common.close }).click();
    await waitFor(() => expect(backend.asked).toContain('forgetPicked'));
    backend.emit('files_picked', { names: ['Log book.pdf'], count: 1 });
    const again = await screen.findByRole('dialog', { name: files.toWhom });
    within(again)
      .getByRole('button', { name: /Captain Nemo/ })
      .click();
    await waitFor(() => expect(backend.asked).toContain('sendPicked u_nemo'));
    expect(await violations()).toEqual([]);
  });

  it('sends what is dropped during a call to whom one talks with', async () => {
    const backend = await open({ people });
    await screen.findByText('Edith Clarke');
    press(en.people.callWithVideo('Ada Lovelace'));
    await screen.findByRole('heading', { level: 1, name: 'Ada Lovelace' });
    backend.emit('files_dragged', true);
    expect(await screen.findByText(files.dropFor('Ada Lovelace'))).toBeTruthy();
    backend.emit('files_dragged', false);
    backend.emit('files_picked', { names: ['Log book.pdf'], count: 1 });
    await waitFor(() => expect(backend.asked).toContain('sendPicked u_ada'));
    expect(screen.queryByRole('dialog')).toBeNull();
    key('f');
    expect(await screen.findByRole('dialog', { name: files.send('Ada Lovelace') })).toBeTruthy();
  });

  it('says what of it is not sent, and why', async () => {
    const left_out = [{ name: 'current', why: 'link' as const }];
    const backend = await open({ people, sent: { id: transfer.id, left_out, left_out_count: 1 } });
    await screen.findByText('Edith Clarke');
    press(files.send('Captain Nemo'));
    (await screen.findByRole('button', { name: files.chooseFiles })).click();
    const open_ = await tray();
    expect(within(open_).getByText(files.leftOut('1'))).toBeTruthy();
    expect(within(open_).getByText(`current: ${files.leftOutReasons.link}`)).toBeTruthy();
    expect(backend.asked).toContain('sendPicked u_nemo');
  });

  it('has the system announce an offer to who looks at something else, once', async () => {
    const focus = vi.spyOn(document, 'hasFocus').mockReturnValue(false);
    const backend = await open({ people });
    await screen.findByText('Edith Clarke');
    backend.emit('transfer', offer);
    backend.emit('transfer', { ...offer, connected: false });
    const text = files.noticeText('Lighthouse.jpg, Pier at dusk.jpg', '9.4 MB');
    const once = [`announce files ${files.offers('Ada Lovelace')} ${text}`];
    await waitFor(() => expect(asked(backend, 'announce')).toEqual(once));
    focus.mockRestore();
  });

  it('lets one choose where files go, and whom to ask again', async () => {
    const backend = await open({ people, settings: { files_from: ['u_ada', 'u_nemo'] } });
    await screen.findByText('Edith Clarke');
    press(en.home.settings);
    expect(await screen.findByText(files.settings.system)).toBeTruthy();
    press(files.settings.choose);
    expect(await screen.findByText('/home/marina/From others')).toBeTruthy();
    press(files.settings.reset);
    await waitFor(() => expect(backend.asked).toContain('changeSettings {"files_folder":null}'));
    press(files.settings.stop('Ada Lovelace'));
    await waitFor(() => expect(backend.asked).toContain('changeSettings {"files_from":["u_nemo"]}'));
    expect(await violations()).toEqual([]);
  });
});
