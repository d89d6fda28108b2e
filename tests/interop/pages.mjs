// Chromium with test pictures for a camera, and a page on this machine to begin with, which is empty.
import { chromium } from 'playwright-core';
import { openSync, readFileSync, readSync, statSync } from 'node:fs';
import { createServer } from 'node:http';

const EMPTY = '<!doctype html><body></body>';
const FRAME = 'FRAME\n'.length;

/** Size and rate of a clip that plain (`C420`, without comments) YUV4MPEG2 holds, and how many pictures there are. */
export function describe(clip) {
  const start = Buffer.alloc(1024);
  const file = openSync(clip);
  readSync(file, start, 0, start.length, 0);
  const line = start.subarray(0, start.indexOf('\n')).toString();
  const [width, height] = ['W', 'H'].map((letter) => Number(new RegExp(` ${letter}(\\d+)`).exec(line)[1]));
  const [, over, under] = / F(\d+):(\d+)/.exec(line);
  const [first, each] = [line.length + 1, FRAME + width * height + 2 * ((width + 1) >> 1) * ((height + 1) >> 1)];
  const pictures = Math.floor((statSync(clip).size - first) / each);
  const luma = (index) => {
    const bytes = Buffer.alloc(width * height);
    readSync(file, bytes, 0, bytes.length, first + index * each + FRAME);
    return bytes;
  };
  return { width, height, pictures, rate: Number(over) / Number(under), luma };
}

/** Serves the empty page, the modules that pages import as `/page/NAME.mjs`, and luma of the clip's pictures as `/luma/NUMBER`. */
export async function serve(clip) {
  let described;
  const server = createServer(({ url }, reply) => {
    const [, folder, name] = url.split('/');
    if (folder === 'page') {
      reply.setHeader('content-type', 'text/javascript').end(readFileSync(new URL(`page/${name}`, import.meta.url)));
    } else if (folder === 'luma') {
      described ??= describe(clip);
      reply.setHeader('content-type', 'application/octet-stream').end(described.luma(Number(name)));
    } else {
      reply.setHeader('content-type', 'text/html').end(EMPTY);
    }
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  return { address: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}

export async function open(clip, more = []) {
  const server = await serve(clip);
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--disable-component-update',
      '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream', '--disable-features=WebRtcHideLocalIpsWithMdns',
      '--autoplay-policy=no-user-gesture-required', `--use-file-for-fake-video-capture=${clip}`, ...more,
    ],
  });
  const close = async () => {
    await browser.close();
    server.close();
  };
  return { browser, address: server.address, close };
}
