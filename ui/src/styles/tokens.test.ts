import { describe, expect, it } from 'vitest';

import tokens from './tokens.css?raw';

const css = tokens.replaceAll(/\/\*.*?\*\//gs, '');

type Colours = Map<string, string>;

/** The colours that one block declares: `selector` within the media query `query`, or outside of any. */
function declared(selector: string, query = ''): Colours {
  const within = query ? css.indexOf(`@media ${query} {`) : 0;
  expect(within, query).toBeGreaterThanOrEqual(0);
  const start = css.indexOf(`${selector} {`, within);
  expect(start, selector).toBeGreaterThanOrEqual(0);
  const body = css.slice(start, css.indexOf('}', start));
  return new Map(
    [...body.matchAll(/--color-([\w-]+): (#[0-9a-f]{6});/g)].map(([, name, value]) => [name!, value!]),
  );
}

const DARK = "[data-theme='dark']";
const MORE = '(prefers-contrast: more)';
const light = declared(':root');
const dark = new Map([...light, ...declared(DARK)]);
const more = declared(':root', MORE);
const themes: Record<string, { colours: Colours; least: number }> = {
  light: { colours: light, least: 4.5 },
  dark: { colours: dark, least: 4.5 },
  'light, more contrast': { colours: new Map([...light, ...more]), least: 7 },
  'dark, more contrast': { colours: new Map([...dark, ...more, ...declared(DARK, MORE)]), least: 7 },
};

/** Text colours and the grounds they appear on. */
const pairs: [string, string][] = [
  ['text', 'canvas'],
  ['text', 'surface'],
  ['text', 'sunken'],
  ['text-muted', 'canvas'],
  ['text-muted', 'surface'],
  ['text-muted', 'sunken'],
  ['on-accent', 'accent'],
  ['on-accent', 'accent-hover'],
  ['positive', 'positive-soft'],
  ['positive', 'surface'],
  ['notice', 'notice-soft'],
  ['notice', 'surface'],
  ['danger', 'canvas'],
  ['danger', 'surface'],
  ['danger', 'danger-soft'],
  ['on-danger', 'danger'],
  ['on-hang-up', 'hang-up'],
  ['on-hang-up', 'hang-up-hover'],
  ['on-danger', 'danger-hover'],
  ['text', 'hover'],
  ['text', 'accent-soft'],
  ['text', 'notice-soft'],
  ['text', 'danger-soft'],
  ['text', 'positive-soft'],
  ['accent', 'surface'],
  ['accent', 'canvas'],
  ['accent', 'accent-soft'],
  ['on-sun', 'sun'],
  ['on-sun', 'sun-hover'],
  ['on-sea', 'sea-high'],
  ['on-sea', 'sea-deep'],
  ['on-sea-muted', 'sea-high'],
  ['on-sea-muted', 'sea-deep'],
];

/** WCAG 2.2 relative luminance. */
function luminance(colour: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}

function contrast(one: string, other: string): number {
  const [dimmer, brighter] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (brighter! + 0.05) / (dimmer! + 0.05);
}

function of(colours: Colours, name: string): string {
  const colour = colours.get(name);
  if (!colour) throw new Error(`tokens.css has no --color-${name}`);
  return colour;
}

describe.each(Object.entries(themes))('the %s theme', (_, { colours, least }) => {
  it.each(pairs)('shows %s readably on %s', (text, ground) => {
    expect(contrast(of(colours, text), of(colours, ground))).toBeGreaterThanOrEqual(least);
  });

  it.each([
    ['focus', 'surface'],
    ['focus', 'canvas'],
    ['control-border', 'surface'],
    ['level', 'sunken'],
    ['route', 'surface'],
  ])('shows the shape of %s on %s (WCAG 1.4.11: 3 to 1)', (shape, ground) => {
    expect(contrast(of(colours, shape), of(colours, ground))).toBeGreaterThanOrEqual(3);
  });
});
