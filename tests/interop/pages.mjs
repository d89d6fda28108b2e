// Chromium with test pictures for a camera, and an empty page on this machine to begin with.
import { chromium } from 'playwright-core';
import { createServer } from 'node:http';

const EMPTY = '<!doctype html><body></body>';

export async function open(clip, more = []) {
  const server = createServer((_, reply) => reply.setHeader('content-type', 'text/html').end(EMPTY));
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
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
  return { browser, address: `http://127.0.0.1:${server.address().port}/`, close };
}
