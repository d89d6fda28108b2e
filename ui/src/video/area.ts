/** Where pictures are fitted into, in pixels of the screen. */
export interface Area {
  width: number;
  height: number;
}

/** Nobody sees anything: the window is minimised, say, or the element is not on the screen. */
export const NOWHERE: Area = { width: 0, height: 0 };

/** Sides are rounded up to a multiple of this, so that a pixel more or less is no news. */
const STEP = 16;
/** How long nothing is told after something was: whoever drags a window's corner makes a hundred sizes. */
export const REST_MS = 500;

export const isSeen = ({ width, height }: Area) => width > 0 && height > 0;

export const same = (one: Area, other: Area) => one.width === other.width && one.height === other.height;

export function rounded({ width, height }: Area): Area {
  // A screen that is scaled gives fractions.
  const side = (pixels: number) => Math.ceil(Math.round(pixels) / STEP) * STEP;
  return isSeen({ width, height }) ? { width: side(width), height: side(height) } : NOWHERE;
}

/** Tells of each area that is another than the one before: at once, unless one was told just now; then the newest. */
export class Teller {
  readonly #tell: (area: Area) => void;
  #told: Area | undefined;
  #newest: Area = NOWHERE;
  #rest: ReturnType<typeof setTimeout> | undefined;

  constructor(tell: (area: Area) => void) {
    this.#tell = tell;
  }

  take(area: Area) {
    this.#newest = area;
    if (this.#rest === undefined) this.#look();
  }

  stop() {
    clearTimeout(this.#rest);
  }

  #look() {
    this.#rest = undefined;
    if (this.#told && same(this.#told, this.#newest)) return;
    this.#told = this.#newest;
    this.#rest = setTimeout(() => this.#look(), REST_MS);
    this.#tell(this.#newest);
  }
}

/** Tells in which area an element's pictures are seen, now and whenever that changes. Returns how to end that. */
export function watchArea(element: Element, tell: (area: Area) => void): () => void {
  const teller = new Teller(tell);
  let measured: ResizeObserverEntry | undefined;
  let onScreen = true;
  const look = () => {
    if (!measured) return;
    const seen = onScreen && document.visibilityState === 'visible';
    teller.take(seen ? rounded(pixelsOf(measured)) : NOWHERE);
  };
  const resized = new ResizeObserver((entries) => {
    measured = entries.at(-1);
    look();
  });
  const moved = new IntersectionObserver((entries) => {
    onScreen = entries.at(-1)?.isIntersecting ?? onScreen;
    look();
  });
  // Then another screen with other pixels is news as well.
  const exact = 'devicePixelContentBoxSize' in ResizeObserverEntry.prototype;
  resized.observe(element, { box: exact ? 'device-pixel-content-box' : 'content-box' });
  moved.observe(element);
  document.addEventListener('visibilitychange', look);
  // WebKit knows no such box; a window that comes to another screen is resized there.
  addEventListener('resize', look);
  return () => {
    teller.stop();
    resized.disconnect();
    moved.disconnect();
    document.removeEventListener('visibilitychange', look);
    removeEventListener('resize', look);
  };
}

function pixelsOf({ devicePixelContentBoxSize, contentRect }: ResizeObserverEntry): Area {
  const exact = devicePixelContentBoxSize?.[0];
  if (exact) return { width: exact.inlineSize, height: exact.blockSize };
  return { width: contentRect.width * devicePixelRatio, height: contentRect.height * devicePixelRatio };
}
