import { describe, expect, it } from 'vitest';

import { ScriptedBackend, stats } from '../../tests/scripted-backend';
import { clock, Numbers } from '../messages/numbers';
import { en } from '../messages/en';
import { zh } from '../messages/zh';
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
    void preview.start();
    await preview.stop();
    expect(backend.asked).toEqual(['startPreview', 'stopPreview']);
    expect(preview.state).toBe('off');
  });

  it('does not take levels of a microphone that is closed', async () => {
    const backend = new ScriptedBackend();
    const preview = new PreviewStore(backend);
    const stop = preview.listen();
    await preview.start();
    backend.emit('level', { level: 0.5, clipped: false });
    expect(preview.level.level).toBe(0.5);
    await preview.stop();
    backend.emit('level', { level: 0.7, clipped: false });
    expect(preview.level.level).toBe(0);
    stop();
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

  it('show a time as a clock does', () => {
    expect([0, 7.9, 84, 3605, -3].map(clock)).toEqual(['0:00', '0:07', '1:24', '1:00:05', '0:00']);
  });
});
