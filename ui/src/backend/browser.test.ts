import { beforeEach, describe, expect, it, vi } from 'vitest';

import type { DeskEvents } from '.';
import { BrowserBackend } from './browser';

/** What a browser answers when a device is asked for. */
let answers: Record<'video' | 'audio', () => MediaStream>;
let asked: MediaStreamConstraints[];
let stopped: string[];

function stream(kind: string) {
  return { getTracks: () => [{ stop: () => stopped.push(kind) }] } as unknown as MediaStream;
}

function refusal(name: string): () => never {
  return () => {
    throw new DOMException('refused', name);
  };
}

beforeEach(() => {
  localStorage.clear();
  [asked, stopped] = [[], []];
  answers = { video: () => stream('video'), audio: refusal('NotFoundError') };
  const devices = [
    { kind: 'videoinput', deviceId: 'cam', label: 'Cam' },
    { kind: 'audioinput', deviceId: 'default', label: 'Default' },
    { kind: 'audiooutput', deviceId: '', label: '' },
  ];
  const mediaDevices = Object.assign(new EventTarget(), {
    enumerateDevices: () => Promise.resolve(devices),
    getUserMedia: async (wanted: MediaStreamConstraints) => {
      asked.push(wanted);
      return Promise.resolve().then(answers[wanted.video ? 'video' : 'audio']);
    },
  });
  vi.stubGlobal('navigator', { mediaDevices, userAgent: 'A browser' });
});

function open() {
  const backend = new BrowserBackend();
  const told: DeskEvents['preview'][] = [];
  backend.on('preview', (snapshot) => told.push(snapshot));
  return { backend, latest: () => told.at(-1) };
}

describe('a browser in place of the program', () => {
  it('keeps settings where it keeps them', async () => {
    const { backend } = open();
    await backend.changeSettings({ name: 'Ada', theme: 'dark' });
    const { name, theme, picture } = await new BrowserBackend().settings();
    expect([name, theme, picture]).toEqual(['Ada', 'dark', '720p']);
  });

  it('lists the devices that it has a name for, and again when they change', async () => {
    const { backend } = open();
    const { cameras, microphones, speakers } = await backend.devices();
    expect(cameras.map(({ name }) => name)).toEqual(['Cam']);
    expect(microphones[0]?.is_default).toBe(true);
    expect(speakers).toEqual([]);
    const told = vi.fn();
    backend.on('devices', told);
    navigator.mediaDevices.dispatchEvent(new Event('devicechange'));
    await vi.waitFor(() => expect(told).toHaveBeenCalledOnce());
  });

  it('previews what there is and says why the rest is missing', async () => {
    const { backend, latest } = open();
    await backend.startPreview();
    expect(latest()?.camera).toEqual({ standing: 'on', trouble: null });
    expect(latest()?.microphone.trouble?.code).toBe('microphone_missing');
    await backend.stopPreview();
    expect(stopped).toEqual(['video']);
    expect(latest()?.microphone).toEqual({ standing: 'off', trouble: null });
  });

  it.each([
    ['NotReadableError', 'camera_busy'],
    ['NotAllowedError', 'camera_denied_by_browser'],
    ['OverconstrainedError', 'camera_not_connected'],
    ['AbortError', 'camera_unusable'],
  ])('takes the browser’s %s for %s', async (name, code) => {
    answers.video = refusal(name);
    const { backend, latest } = open();
    await backend.startPreview();
    expect(latest()?.camera).toMatchObject({ standing: 'failed', trouble: { code } });
  });

  it('goes over to the camera that is chosen during the preview, and only then', async () => {
    const { backend } = open();
    await backend.changeSettings({ camera: 'cam' });
    expect(asked).toEqual([]);
    await backend.startPreview();
    await backend.changeSettings({ camera: 'other' });
    expect(stopped).toEqual(['video']);
    expect(asked.at(-2)).toMatchObject({ video: { deviceId: { exact: 'other' } } });
  });

  it('has no calls', async () => {
    const { backend } = open();
    await expect(backend.startTestCall()).rejects.toMatchObject({ code: 'no_shell' });
    expect(await backend.hangUp()).toBeNull();
  });
});
