import { isCorner, type Corner } from './corner';

const STORED = 'ahoy.corner';

/** The corner of one's own picture. It says nothing about calls, so the window keeps it and not the program. */
export class SelfViewStore {
  #corner = $state<Corner>(stored());

  get corner(): Corner {
    return this.#corner;
  }

  move(corner: Corner) {
    this.#corner = corner;
    try {
      localStorage.setItem(STORED, corner);
    } catch {
      // A web view that keeps nothing: the corner lasts as long as the window.
    }
  }
}

function stored(): Corner {
  try {
    const corner = localStorage.getItem(STORED);
    if (isCorner(corner)) return corner;
  } catch {
    // As above.
  }
  return 'bottom-right';
}
