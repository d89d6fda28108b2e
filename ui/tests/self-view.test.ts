import { cleanup, configure, fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import axe from 'axe-core';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { en } from '../src/messages/en';
import { zh } from '../src/messages/zh';
import Start from '../src/Start.svelte';
import type { Corner } from '../src/state/corner';
import { failed, people, running, ScriptedBackend, type Script } from './scripted-backend';

configure({ asyncUtilTimeout: 20_000 });

/** What jsdom would know if it had a layout. */
const ROOM = { width: 1000, height: 600 };
const VIEW = { width: 200, height: 112 };

let captured: number[];

beforeEach(() => {
  document.title = 'Ahoy';
  localStorage.clear();
  captured = [];
  vi.stubGlobal('matchMedia', () => new EventTarget());
  HTMLElement.prototype.setPointerCapture = (pointer) => void captured.push(pointer);
  HTMLElement.prototype.releasePointerCapture = (pointer) => {
    captured = captured.filter((other) => other !== pointer);
  };
  vi.spyOn(HTMLElement.prototype, 'getBoundingClientRect').mockImplementation(function (this: HTMLElement) {
    if (!this.classList.contains('floating')) return new DOMRect(0, 0, ROOM.width, ROOM.height);
    const { x, y } = shift(this);
    const left = this.classList.contains('top-left') || this.classList.contains('bottom-left');
    const top = this.classList.contains('top-left') || this.classList.contains('top-right');
    return new DOMRect(
      (left ? 0 : ROOM.width - VIEW.width) + x,
      (top ? 0 : ROOM.height - VIEW.height) + y,
      VIEW.width,
      VIEW.height,
    );
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

function shift({ style }: HTMLElement) {
  const [x = 0, y = 0] = [...style.transform.matchAll(/(-?[\d.]+)px/g)].map(([, pixels]) => Number(pixels));
  return { x, y };
}

async function openCall(script: Script = {}, text = en) {
  const backend = new ScriptedBackend({ people, ...script });
  render(Start, { connect: () => Promise.resolve(backend) });
  await callAda(text);
  return backend;
}

async function callAda(text = en) {
  (await screen.findByRole('button', { name: text.people.callWithVideo('Ada Lovelace') })).click();
  await screen.findByRole('heading', { level: 1, name: 'Ada Lovelace' });
}

/** One's own picture, which has to say that it is in this corner. */
const viewAt = (corner: Corner, text = en) =>
  screen.findByRole('application', { name: text.tile.movable(text.tile.corners[corner]) });

interface Pointer {
  at?: number;
  id?: number;
  kind?: string;
  button?: number;
}

function point(target: Element, type: string, x: number, y: number, pointer: Pointer = {}) {
  const { at = 0, id = 1, kind = 'mouse', button = 0 } = pointer;
  const event = new PointerEvent(type, {
    pointerId: id,
    pointerType: kind,
    isPrimary: true,
    button,
    clientX: x,
    clientY: y,
    bubbles: true,
    cancelable: true,
  });
  Object.defineProperty(event, 'timeStamp', { value: at });
  return fireEvent(target, event);
}

/** From the middle of the lower right corner to a point, where the hand rests before it lets go. */
async function drag(view: Element, x: number, y: number, pointer: Pointer = {}) {
  await point(view, 'pointerdown', 900, 550, pointer);
  await point(view, 'pointermove', x, y, { ...pointer, at: 100 });
  await point(view, 'pointerup', x, y, { ...pointer, at: 1000 });
}

describe('one’s own picture in a call', () => {
  it('can be dragged to another corner', async () => {
    await openCall();
    await drag(await viewAt('bottom-right'), 200, 100);
    const view = await viewAt('top-left');
    expect(view.style.transform).toBe('');
  });

  it.each(['mouse', 'touch', 'pen'])('is led by a %s, which it holds on to', async (kind) => {
    await openCall();
    const view = await viewAt('bottom-right');
    await point(view, 'pointerdown', 900, 550, { kind });
    expect(captured).toEqual([1]);
    await point(view, 'pointermove', 700, 400, { kind, at: 50 });
    expect(shift(view)).toEqual({ x: -200, y: -150 });
    expect(view.classList).toContain('still');
    await point(view, 'pointermove', 300, 420, { kind, at: 100 });
    expect(shift(view)).toEqual({ x: -600, y: -130 });
    await point(view, 'pointerup', 300, 420, { kind, at: 1000 });
    expect((await viewAt('bottom-left')).classList).not.toContain('still');
  });

  it('does not leave the pictures while it is dragged', async () => {
    await openCall();
    const view = await viewAt('bottom-right');
    await point(view, 'pointerdown', 900, 550);
    await point(view, 'pointermove', -500, 2000, { at: 50 });
    expect(shift(view)).toEqual({ x: VIEW.width - ROOM.width, y: 0 });
  });

  it('flies to the corner that it is thrown at', async () => {
    await openCall();
    const view = await viewAt('bottom-right');
    await point(view, 'pointerdown', 900, 550);
    await point(view, 'pointermove', 880, 550, { at: 10 });
    await point(view, 'pointermove', 800, 550, { at: 40 });
    await point(view, 'pointerup', 800, 550, { at: 45 });
    await viewAt('bottom-left');
  });

  it('stays where it is for a press that trembles', async () => {
    await openCall();
    const view = await viewAt('bottom-right');
    await point(view, 'pointerdown', 900, 550);
    await point(view, 'pointermove', 898, 548, { at: 1 });
    expect(view.style.transform).toBe('');
    await point(view, 'pointerup', 898, 548, { at: 2 });
    await point(view, 'pointermove', 100, 100, { at: 3 });
    expect(view.style.transform).toBe('');
    await viewAt('bottom-right');
  });

  it('is put back by Escape, which closes nothing else', async () => {
    await openCall();
    await fireEvent.keyDown(document.body, { key: 't' });
    await screen.findByLabelText(en.talk.write);
    const view = await viewAt('bottom-right');
    await point(view, 'pointerdown', 900, 550);
    await point(view, 'pointermove', 200, 100, { at: 50 });
    await fireEvent.keyDown(view, { key: 'Escape' });
    expect(view.style.transform).toBe('');
    expect(captured).toEqual([]);
    await point(view, 'pointermove', 300, 100, { at: 60 });
    await point(view, 'pointerup', 300, 100, { at: 70 });
    await viewAt('bottom-right');
    expect(screen.getByLabelText(en.talk.write)).toBeTruthy();
    await fireEvent.keyDown(view, { key: 'Escape' });
    await waitFor(() => expect(screen.queryByLabelText(en.talk.write)).toBeNull());
  });

  it('is put back when the system takes the pointer away', async () => {
    await openCall();
    const view = await viewAt('bottom-right');
    await point(view, 'pointerdown', 900, 550, { kind: 'touch' });
    await point(view, 'pointermove', 200, 100, { kind: 'touch', at: 50 });
    await point(view, 'pointercancel', 200, 100, { kind: 'touch', at: 60 });
    expect(view.style.transform).toBe('');
    await viewAt('bottom-right');
  });

  it('follows one pointer, and only its first button', async () => {
    await openCall();
    const view = await viewAt('bottom-right');
    await drag(view, 200, 100, { button: 2 });
    await viewAt('bottom-right');
    await point(view, 'pointerdown', 900, 550);
    await point(view, 'pointermove', 200, 100, { id: 2, at: 50 });
    expect(view.style.transform).toBe('');
  });

  it('moves with the arrow keys, with and without a way to go', async () => {
    await openCall();
    const view = await viewAt('bottom-right');
    view.focus();
    expect(document.activeElement).toBe(view);
    const ways: [string, Corner][] = [
      ['ArrowRight', 'bottom-right'],
      ['ArrowUp', 'top-right'],
      ['ArrowLeft', 'top-left'],
      ['ArrowLeft', 'top-left'],
      ['ArrowDown', 'bottom-left'],
      ['ArrowRight', 'bottom-right'],
    ];
    for (const [key, corner] of ways) {
      await fireEvent.keyDown(view, { key });
      expect(await viewAt(corner)).toBe(view);
    }
    await fireEvent.keyDown(view, { key: 'ArrowUp', altKey: true });
    await viewAt('bottom-right');
  });

  it('leaves a button in it to be pressed', async () => {
    const camera = failed('camera_busy', 'Harbour Cam Pro');
    await openCall({ snapshot: { ...running, camera } });
    const view = await viewAt('bottom-right');
    await drag(within(view).getByRole('button', { name: en.common.tryAgain }), 200, 100);
    expect(captured).toEqual([]);
    await viewAt('bottom-right');
  });

  it('leaves the other’s name to be read', async () => {
    await openCall();
    const view = await viewAt('bottom-right');
    const plate = screen.getByRole('figure', { name: 'Ada Lovelace' }).querySelector('figcaption')!;
    expect(plate.classList).toContain('left');
    await fireEvent.keyDown(view, { key: 'ArrowLeft' });
    await waitFor(() => expect(plate.classList).toContain('right'));
    await fireEvent.keyDown(view, { key: 'ArrowUp' });
    await waitFor(() => expect(plate.classList).toContain('left'));
  });

  it('is in its corner again in the next call, and after the next start', async () => {
    await openCall();
    await fireEvent.keyDown(await viewAt('bottom-right'), { key: 'ArrowUp' });
    await viewAt('top-right');
    screen.getByRole('button', { name: en.call.hangUp }).click();
    (await screen.findByRole('button', { name: en.summary.done })).click();
    await callAda();
    await viewAt('top-right');
    cleanup();
    await openCall();
    await viewAt('top-right');
  });

  it('is in the usual corner where what was kept makes no sense', async () => {
    localStorage.setItem('ahoy.corner', 'middle');
    await openCall();
    await viewAt('bottom-right');
  });

  it('moves also where nothing can be kept', async () => {
    vi.spyOn(Storage.prototype, 'getItem').mockImplementation(() => {
      throw new DOMException('no', 'SecurityError');
    });
    vi.spyOn(Storage.prototype, 'setItem').mockImplementation(() => {
      throw new DOMException('no', 'QuotaExceededError');
    });
    await openCall();
    await fireEvent.keyDown(await viewAt('bottom-right'), { key: 'ArrowUp' });
    await viewAt('top-right');
  });

  it.each([
    ['en', en],
    ['zh', zh],
  ] as const)('tells how it is moved, in %s, and keeps nobody out', async (language, text) => {
    await openCall({ settings: { language } }, text);
    await viewAt('bottom-right', text);
    const found = await axe.run(document, { rules: { 'color-contrast': { enabled: false } } });
    expect(found.violations.map(({ id }) => id)).toEqual([]);
  });

  it('is a picture like the other in a test call, where it covers nothing', async () => {
    render(Start, { connect: () => Promise.resolve(new ScriptedBackend()) });
    (await screen.findByRole('button', { name: en.home.testCall })).click();
    await screen.findByRole('figure', { name: en.tile.you });
    expect(screen.queryByRole('application')).toBeNull();
  });
});
