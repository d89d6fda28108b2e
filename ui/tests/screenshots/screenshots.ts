import { spawnSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { openStage, type Stage } from '../browser';
import { MediaServer, type Connection } from '../media-server';
import { scenes, texts, type SceneName } from './scenes';

const FOLDER = fileURLToPath(new URL('../../../docs/images/views/', import.meta.url));
const WIDTH = 1280;
const HEIGHT = 720;
const LARGEST = 60 * 1024;

interface Variant {
  /** What the file's name ends with. */
  name: string;
  theme: 'light' | 'dark';
  language: 'en' | 'zh';
  width: number;
  height: number;
  contrast: boolean;
}

const usual = { language: 'en', width: 1040, height: 720, contrast: false } as const;
const light: Variant = { name: 'light', theme: 'light', ...usual };
const dark: Variant = { name: 'dark', theme: 'dark', ...usual };
const special: Variant[] = [
  { ...light, name: 'chinese', language: 'zh' },
  { ...light, name: 'narrow', width: 360, height: 640 },
  { ...dark, name: 'smallest', width: 360, height: 480 },
  { ...light, name: 'contrast', contrast: true },
  { ...dark, name: 'contrast-dark', contrast: true },
];

/** Beside both themes, which every scene is painted in. */
const also: Partial<Record<SceneName, string[]>> = {
  'first-run': ['chinese', 'narrow'],
  home: ['chinese', 'narrow', 'contrast'],
  chat: ['narrow'],
  'chat-empty': ['chinese'],
  'call-person-messages': ['narrow'],
  'call-person-paused': ['narrow'],
  'call-link': ['narrow', 'chinese'],
  'call-hosted': ['narrow', 'chinese'],
  'home-files': ['chinese', 'narrow'],
  'home-files-offered': ['chinese', 'narrow', 'contrast'],
  'chat-files': ['narrow'],
  'call-person-files': ['narrow'],
  'home-invited': ['narrow'],
  'home-nearby': ['narrow'],
  call: ['narrow', 'smallest'],
  'call-no-devices': ['chinese', 'narrow', 'smallest'],
  'first-run-busy': ['narrow'],
  'call-numbers': ['chinese', 'contrast-dark', 'narrow'],
  'settings-audio': ['narrow', 'contrast'],
  'check-running': ['chinese', 'narrow'],
  'check-well': ['chinese', 'narrow'],
  'check-troubled': ['chinese', 'narrow', 'contrast-dark'],
  'check-blocked': ['narrow'],
  'check-details': ['chinese', 'narrow'],
  'call-ways': ['chinese', 'narrow'],
};

/** `npm run screenshots`: all, or those whose names begin with one of the arguments. */
export async function takeScreenshots(wanted: string[]) {
  mkdirSync(FOLDER, { recursive: true });
  const stage = await openStage();
  let large = 0;
  try {
    const person = await paintPerson(stage);
    for (const scene of Object.keys(scenes) as SceneName[]) {
      const extra = special.filter(({ name }) => also[scene]?.includes(name));
      for (const variant of [light, dark, ...extra]) {
        const name = `${scene}-${variant.name}`;
        if (wanted.length > 0 && !wanted.some((start) => name.startsWith(start))) continue;
        const bytes = await take(stage, scene, variant, person, `${FOLDER}${name}.png`);
        if (bytes > LARGEST) large++;
        console.log(`${name}.png ${Math.round(bytes / 1024)} KB${bytes > LARGEST ? ': too large' : ''}`);
      }
    }
  } finally {
    await stage.stop();
  }
  if (large > 0) throw new Error(`${large} pictures are larger than ${LARGEST / 1024} KB`);
}

async function paintPerson({ browser, url }: Stage): Promise<Buffer> {
  const page = await browser.newPage();
  await page.goto(`${url}tests/screenshots/index.html`);
  await page.waitForFunction('window.paintPerson');
  const text = await page.evaluate(([width, height]) => window.paintPerson(width, height), [
    WIDTH,
    HEIGHT,
  ] as const);
  await page.close();
  return Buffer.from(text, 'base64');
}

async function take(stage: Stage, scene: SceneName, variant: Variant, person: Buffer, file: string) {
  const server = await MediaServer.start();
  const page = await stage.browser.newPage({
    viewport: { width: variant.width, height: variant.height },
    colorScheme: variant.theme,
    contrast: variant.contrast ? 'more' : 'no-preference',
    reducedMotion: 'reduce',
  });
  page.on('pageerror', (error) => console.error(`${scene}: ${error.message}`));
  try {
    await page.exposeFunction('mediaAccess', () => server.access());
    // The scenes without the plug-in are those of a web view that can't decode.
    if (scene === 'call-plugin-missing') await page.addInitScript('delete globalThis.VideoDecoder');
    await page.goto(`${stage.url}tests/screenshots/index.html?scene=${scene}&language=${variant.language}`);
    await page.locator('h1').waitFor();
    const { go, tiles = 0, level } = scenes[scene];
    const going = go?.(page, texts[variant.language]);
    for (let tile = 0; tile < tiles; tile++) await feed(await server.connection(), person);
    await going;
    if (level !== undefined) await page.locator('.meter .lit').first().waitFor();
    await page.evaluate('document.fonts.ready');
    await page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))');
    const picture = await page.screenshot({ fullPage: false });
    shrink(picture, file);
    return statSync(file).size;
  } finally {
    await page.close();
    await server.stop();
  }
}

async function feed(connection: Connection, payload: Buffer) {
  connection.send({ format: 'i420', width: WIDTH, height: HEIGHT, number: 1, payload });
  await connection.until(() => connection.of('shown').length > 0);
}

/** To 256 colours: the views have few, and a repository keeps every picture for ever. */
function shrink(png: Buffer, file: string) {
  const filter = '[0]split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=dither=none';
  const { status, stderr } = spawnSync(
    'ffmpeg',
    [
      '-v',
      'error',
      '-y',
      '-f',
      'png_pipe',
      '-i',
      '-',
      '-filter_complex',
      filter,
      '-compression_level',
      '9',
      file,
    ],
    { input: png },
  );
  if (status !== 0) throw new Error(`ffmpeg: ${String(stderr)}`);
}
