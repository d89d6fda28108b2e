/** jsdom lays nothing out: whoever wants to know how large something is, or whether it is in sight, hears nothing. */
class Observer {
  observe() {}
  unobserve() {}
  disconnect() {}
}

if (typeof document !== 'undefined') {
  const unknown = { ResizeObserver: Observer, ResizeObserverEntry: class {}, IntersectionObserver: Observer };
  for (const [name, observer] of Object.entries(unknown)) {
    if (!(name in globalThis)) Object.assign(globalThis, { [name]: observer });
  }
}
