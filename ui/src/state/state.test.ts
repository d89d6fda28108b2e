import { describe, expect, it, vi } from 'vitest';

import type { DoctorReport } from '../backend';

import {
  devices,
  failed,
  noDevices,
  off,
  on,
  paused,
  running,
  ScriptedBackend,
  settings,
  stats,
  type Script,
} from '../../tests/scripted-backend';
import { allWell, began, troubled } from '../../tests/scripted-check';
import { clock, Numbers } from '../messages/numbers';
import { en } from '../messages/en';
import { zh } from '../messages/zh';
import { App } from './app.svelte';
import { CheckStore } from './check.svelte';
import { PreviewStore } from './preview.svelte';
import { quality } from './quality';
import { SAMPLES, StatsHistory } from './stats.svelte';

describe('the history of numbers', () => {
  it('holds the last minute and no more', () => {
    const history = new StatsHistory();
    for (let at = 0; at < SAMPLES + 30; at++) history.add(stats(at));
    expect(history.samples).toHaveLength(SAMPLES);
    expect(history.samples[0]?.at_ms).toBe(30 * 500);
    expect(history.latest?.at_ms).toBe((SAMPLES + 29) * 500);
  });
});

describe('the quality of a call', () => {
  it('is good when nothing is wrong', () => {
    expect(quality(stats(1), true)).toBe('good');
  });

  it('sinks with loss, with delay and with missing pictures', () => {
    const lossy = stats(1);
    lossy.network.loss_percent = 3;
    expect(quality(lossy, true)).toBe('fair');
    const late = stats(1);
    late.audio.delay_ms = 500;
    expect(quality(late, true)).toBe('poor');
    const jerky = stats(1);
    jerky.video.fps_shown = 12;
    expect(quality(jerky, true)).toBe('poor');
  });

  it('does not measure what somebody else sends by one’s own camera', () => {
    const call = stats(1);
    call.video.fps_captured = 0;
    call.video.fps_shown = 30;
    expect(quality(call, true, 'theirs')).toBe('good');
    call.video.fps_shown = 10;
    expect(quality(call, true, 'theirs')).toBe('poor');
    call.video.fps_shown = 0;
    expect(quality(call, false, 'theirs')).toBe('good');
  });

  it('is poor where there is room for sound only', () => {
    const call = paused(1);
    call.network.loss_percent = 0;
    expect(quality(call, true, 'theirs')).toBe('poor');
  });

  it('does not blame a camera that is off', () => {
    const dark = stats(1);
    dark.video.fps_shown = 0;
    dark.video.latency_ms = 900;
    expect(quality(dark, false)).toBe('good');
  });
});

describe('the preview', () => {
  it('is closed after a view that opened and left at once', async () => {
    const backend = new ScriptedBackend();
    const preview = new PreviewStore(backend);
    preview.listen();
    preview.hold()();
    await vi.waitFor(() => expect(backend.asked).toEqual(['startPreview', 'stopPreview']));
    await vi.waitFor(() => expect(preview.snapshot.camera.standing).toBe('off'));
  });

  it('does not take levels of a microphone that is closed', () => {
    const backend = new ScriptedBackend();
    const preview = new PreviewStore(backend);
    preview.listen();
    backend.emit('preview', { camera: on, microphone: on });
    backend.emit('level', { level: 0.5, clipped: false });
    expect(preview.level.level).toBe(0.5);
    backend.emit('preview', { camera: on, microphone: off });
    expect(preview.level.level).toBe(0);
    backend.emit('level', { level: 0.7, clipped: false });
    expect(preview.level.level).toBe(0);
  });
});

describe('the check of the connection', () => {
  /** A program that answers when the test says so. */
  function open() {
    const backend = new ScriptedBackend();
    const answers: ((report: DoctorReport | null) => void)[] = [];
    vi.spyOn(backend, 'checkConnection').mockImplementation(() => new Promise((done) => answers.push(done)));
    const check = new CheckStore(backend);
    check.listen();
    return { backend, check, answers };
  }

  it('takes no report of a run that was called off', async () => {
    const { check, answers } = open();
    const first = check.begin();
    await vi.waitFor(() => expect(answers).toHaveLength(1));
    await check.stop();
    const second = check.begin();
    await vi.waitFor(() => expect(answers).toHaveLength(2));
    answers[0]!(troubled);
    await first;
    expect([check.running, check.report]).toEqual([true, null]);
    answers[1]!(allWell);
    await second;
    expect([check.running, check.report]).toEqual([false, allWell]);
  });

  it('does not begin anew before the program has called off the last run', async () => {
    const { backend, check, answers } = open();
    let stopped = () => undefined as void;
    vi.spyOn(backend, 'stopConnectionCheck').mockReturnValue(new Promise((done) => (stopped = done)));
    void check.begin();
    await vi.waitFor(() => expect(answers).toHaveLength(1));
    void check.stop();
    void check.begin();
    await Promise.resolve();
    expect(answers).toHaveLength(1);
    stopped();
    await vi.waitFor(() => expect(answers).toHaveLength(2));
  });

  it('asks the program to call off nothing where nothing runs', async () => {
    const { backend, check } = open();
    await check.stop();
    expect(backend.asked).toEqual([]);
  });

  it('does not leave a step running whose end was not told', async () => {
    const { backend, check, answers } = open();
    const run = check.begin();
    await vi.waitFor(() => expect(answers).toHaveLength(1));
    backend.emit('connection_check', began('server'));
    expect([check.standing('name'), check.standing('server'), check.standing('clock')]).toEqual([
      'skipped',
      'running',
      'waiting',
    ]);
    answers[0]!(allWell);
    await run;
    expect([check.standing('server'), check.standing('clock')]).toEqual(['unknown', 'skipped']);
  });
});

describe('the trouble of a device', () => {
  function open(script: Script = {}) {
    const backend = new ScriptedBackend(script);
    const app = new App(backend, { ...settings, ...script.settings });
    app.devices.current = script.devices ?? devices;
    app.devices.known = true;
    app.preview.listen();
    app.call.listen();
    return { app, backend };
  }

  it('is known from the list before anything is opened', () => {
    const { app } = open({ devices: noDevices });
    expect(app.trouble('camera')?.code).toBe('camera_missing');
    expect(app.trouble('speaker')?.code).toBe('speaker_missing');
    expect(open({ settings: { microphone: 'gone' } }).app.trouble('microphone')?.code).toBe(
      'microphone_not_connected',
    );
    expect(open().app.trouble('camera')).toBeNull();
  });

  it('says why a kind of device is not in the list, where that is known', () => {
    const problems = [
      { code: 'camera_denied', message: '', device: null } as const,
      { code: 'sound_system_missing', message: '', device: null } as const,
    ];
    const { app } = open({ devices: { ...noDevices, problems } });
    expect(app.trouble('camera')?.code).toBe('camera_denied');
    expect(app.trouble('microphone')?.code).toBe('sound_system_missing');
  });

  it('is what the preview says, whatever the list says', () => {
    const { app, backend } = open({ devices: noDevices });
    backend.emit('preview', { camera: failed('camera_busy', 'Cam'), microphone: on });
    expect(app.trouble('camera')?.device).toBe('Cam');
    expect(app.trouble('microphone')).toBeNull();
  });

  it('is that of the call while there is one', () => {
    const { app, backend } = open({ devices: noDevices });
    backend.emit('call', { ...running, speaker: failed('speaker_lost') });
    expect(app.trouble('camera')).toBeNull();
    expect(app.trouble('speaker')?.code).toBe('speaker_lost');
  });
});

describe('numbers', () => {
  it('have their units in the language of the person', () => {
    const english = new Numbers('en', en.units);
    expect(english.bitrate(999)).toBe('999 kbit/s');
    expect(english.bitrate(1540)).toBe('1.5 Mbit/s');
    expect(english.percent(0.14)).toBe('0.1%');
    expect(english.milliseconds(null)).toBe('not measured');
    expect(english.fineMilliseconds(3.14)).toBe('3.1 ms');
    expect(new Numbers('zh-Hans', zh.units).fps(29.6)).toBe('30 帧/秒');
  });

  it('tell a span in its largest unit', () => {
    const english = new Numbers('en', en.units);
    const spans = [0.4, 59, 61, 7500, 93_600, 34_560_000].map((seconds) => english.span(seconds));
    expect(spans).toEqual(['0 seconds', '59 seconds', '1 minute', '2 hours', '1 day', '400 days']);
    expect(new Numbers('zh-Hans', zh.units).span(7500)).toMatch(/^2\s?小时$/);
  });

  it('show a time as a clock does', () => {
    expect([0, 7.9, 84, 3605, -3].map(clock)).toEqual(['0:00', '0:07', '1:24', '1:00:05', '0:00']);
  });
});
