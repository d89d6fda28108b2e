import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { NOWHERE, REST_MS, rounded, Teller, watchArea, type Area } from './area';

const area = (width: number, height: number): Area => ({ width, height });

beforeEach(() => vi.useFakeTimers());

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

describe('an area', () => {
  it('is rounded up, so that a pixel more or less is the same', () => {
    expect(rounded(area(1280, 720))).toEqual(area(1280, 720));
    expect(rounded(area(1265, 721))).toEqual(area(1280, 736));
    expect(rounded(area(1, 1))).toEqual(area(16, 16));
    // A third of a pixel too much, from a screen that is scaled by three halves.
    expect(rounded(area(426.889 * 1.5, 240 * 1.5))).toEqual(area(640, 368));
  });

  it('without a side is nowhere', () => {
    expect([rounded(area(0, 0)), rounded(area(640, 0)), rounded(area(0, 360))]).toEqual([
      NOWHERE,
      NOWHERE,
      NOWHERE,
    ]);
  });
});

describe('whoever tells of areas', () => {
  function telling() {
    const told: Area[] = [];
    return { told, teller: new Teller((area) => told.push(area)) };
  }

  it('tells the first at once, and the same one never again', () => {
    const { told, teller } = telling();
    for (let times = 0; times < 3; times++) {
      teller.take(area(640, 368));
      vi.advanceTimersByTime(10 * REST_MS);
    }
    expect(told).toEqual([area(640, 368)]);
  });

  it('tells of a corner that is dragged twice a second, and where it ends', () => {
    const { told, teller } = telling();
    for (let width = 320; width < 320 + 100 * 16; width += 16) {
      teller.take(area(width, 320));
      vi.advanceTimersByTime(20);
    }
    vi.advanceTimersByTime(REST_MS);
    expect(told.length).toBe(2_000 / REST_MS + 1);
    expect(told.at(-1)).toEqual(area(320 + 99 * 16, 320));
  });

  it('says nothing of what was over before it could be told', () => {
    const { told, teller } = telling();
    teller.take(area(640, 368));
    teller.take(NOWHERE);
    teller.take(area(640, 368));
    vi.advanceTimersByTime(REST_MS);
    expect(told).toEqual([area(640, 368)]);
    teller.take(NOWHERE);
    expect(told).toEqual([area(640, 368), NOWHERE]);
  });

  it('is silent once it was stopped', () => {
    const { told, teller } = telling();
    teller.take(area(640, 368));
    teller.take(area(320, 192));
    teller.stop();
    vi.advanceTimersByTime(REST_MS);
    expect(told).toEqual([area(640, 368)]);
  });
});

describe('an element with pictures', () => {
  type Seen = (entries: unknown[]) => void;
  let resize: Seen;
  let move: Seen;
  let boxes: unknown[];

  /** jsdom lays nothing out, so what observers see is said here. */
  function stub(exact: boolean) {
    boxes = [];
    class Entry {}
    if (exact) Object.assign(Entry.prototype, { devicePixelContentBoxSize: [] });
    const observer = (keep: (seen: Seen) => void) =>
      class {
        constructor(seen: Seen) {
          keep(seen);
        }
        observe(_: Element, options?: ResizeObserverOptions) {
          if (options) boxes.push(options.box);
        }
        disconnect() {
          keep(() => undefined);
        }
      };
    vi.stubGlobal('ResizeObserverEntry', Entry);
    vi.stubGlobal(
      'ResizeObserver',
      observer((seen) => (resize = seen)),
    );
    vi.stubGlobal(
      'IntersectionObserver',
      observer((seen) => (move = seen)),
    );
  }

  function watch() {
    const told: Area[] = [];
    const stop = watchArea(document.createElement('div'), (area) => told.push(area));
    return { told, stop };
  }

  /** What it has come to when there was time to tell. */
  function latest(told: Area[]) {
    vi.advanceTimersByTime(REST_MS);
    return told.at(-1);
  }

  function visibility(state: DocumentVisibilityState) {
    vi.spyOn(document, 'visibilityState', 'get').mockReturnValue(state);
    document.dispatchEvent(new Event('visibilitychange'));
  }

  it('is measured in pixels of the screen', () => {
    stub(true);
    const { told } = watch();
    expect([boxes, told]).toEqual([['device-pixel-content-box'], []]);
    resize([
      { devicePixelContentBoxSize: [{ inlineSize: 961, blockSize: 540 }], contentRect: area(640, 360) },
    ]);
    expect(told).toEqual([area(976, 544)]);
  });

  it('is reckoned in pixels of the screen where they can not be measured', () => {
    stub(false);
    vi.stubGlobal('devicePixelRatio', 2);
    const { told } = watch();
    resize([{ contentRect: area(640, 360) }]);
    expect([boxes, told]).toEqual([['content-box'], [area(1280, 720)]]);
    vi.stubGlobal('devicePixelRatio', 1);
    dispatchEvent(new Event('resize'));
    expect(latest(told)).toEqual(area(640, 368));
  });

  it('is nowhere while the window is minimised or it is out of sight', () => {
    stub(false);
    const { told } = watch();
    resize([{ contentRect: area(640, 368) }]);
    visibility('hidden');
    expect(latest(told)).toEqual(NOWHERE);
    visibility('visible');
    expect(latest(told)).toEqual(area(640, 368));
    move([{ isIntersecting: false }]);
    expect(latest(told)).toEqual(NOWHERE);
    move([{ isIntersecting: true }]);
    expect(latest(told)).toEqual(area(640, 368));
    resize([{ contentRect: area(0, 0) }]);
    expect(latest(told)).toEqual(NOWHERE);
  });

  it('is of no interest any more when that is said', () => {
    stub(false);
    const { told, stop } = watch();
    resize([{ contentRect: area(640, 368) }]);
    stop();
    visibility('hidden');
    dispatchEvent(new Event('resize'));
    resize([{ contentRect: area(320, 192) }]);
    expect(latest(told)).toEqual(area(640, 368));
  });
});
