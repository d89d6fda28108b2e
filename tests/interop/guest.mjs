// A guest in Chromium, driven over lines of JSON on standard input and output by tests of ahoy-cli.
//
//   node guest.mjs [--clip STAMPED.y4m] [--deny] [--no-h264]
//
// in   {"id": 1, "do": "press", "with": ["Join"]}        a command below
// out  {"id": 1, "result": ...} or {"id": 1, "error": "..."}
import { chromium } from 'playwright-core';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: { clip: { type: 'string' }, deny: { type: 'boolean' }, 'no-h264': { type: 'boolean' }, 'go-on': { type: 'boolean' } },
});
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const profile = mkdtempSync(join(tmpdir(), 'ahoy-guest-'));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: '/usr/bin/chromium',
  headless: true,
  // Whoever reads the warning of a certificate that nobody vouches for, and goes on.
  ignoreHTTPSErrors: options['go-on'] ?? false,
  viewport: { width: 1040, height: 720 },
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream',
    ...(options.deny ? [] : ['--use-fake-ui-for-media-stream']),
    '--disable-features=WebRtcHideLocalIpsWithMdns', '--allow-loopback-in-peer-connection',
    ...(options.clip ? [`--use-file-for-fake-video-capture=${options.clip}`] : []),
  ],
});

try {
  const page = browser.pages()[0] ?? (await browser.newPage());
  const said = [];
  page.on('console', (message) => said.push(message.text()));
  page.on('pageerror', (error) => said.push(String(error)));
  // What the page is not asked for: its connections, to see what comes over them.
  await page.addInitScript(() => {
    window.peers = [];
    window.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(...given) {
        super(...given);
        window.peers.push(this);
      }
    };
  });
  if (options['no-h264']) await page.addInitScript(withoutH264);
  const commands = {
    // From somewhere else, as whoever follows a link: to the same address a browser would not go again.
    open: (url) => page.goto('about:blank').then(() => page.goto(url)),
    follow: (url) => page.evaluate((to) => void (location.href = to), url),
    fill: (label, text) => page.getByLabel(label, { exact: true }).fill(text),
    press: (name) => page.getByRole('button', { name, exact: true }).click(),
    key: (key) => page.keyboard.press(key),
    text: () => page.evaluate(() => document.body.innerText),
    until: (pattern) =>
      page.waitForFunction((wanted) => new RegExp(wanted, 'i').test(document.body.innerText), pattern).then(() => null),
    stamps: (tile, count) => page.evaluate(stamps, [tile, count]),
    heard: () => page.evaluate(heard),
    sound: () => page.evaluate(sound),
    screenshot: (path) => page.screenshot({ path }).then(() => null),
    size: (width, height) => page.setViewportSize({ width, height }),
    close: () => page.close({ runBeforeUnload: false }),
    said: () => said,
  };
  page.setDefaultTimeout(25_000);
  say({ id: 0, result: null });
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, do: command, with: given } = JSON.parse(line);
    try {
      const result = await commands[command](...given);
      say({ id, result: result === undefined || typeof result?.url === 'function' ? null : result });
    } catch (error) {
      say({ id, error: `${error.message}; the page said: ${said.join(' | ')}` });
    }
  }
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
}

/** Runs in the page: the upper rows of the next `count` different pictures of a tile, as luma in base 64, and their sizes. */
function stamps([tile, count]) {
  const find = () => document.querySelector(`figure[aria-label="${tile}"] video`);
  return new Promise((done) => {
    const seen = [];
    const copy = document.createElement('canvas');
    const context = copy.getContext('2d', { willReadFrequently: true });
    const look = () => {
      const video = find();
      if (video?.videoWidth) {
        const { videoWidth: width, videoHeight: height } = video;
        [copy.width, copy.height] = [width, Math.ceil(height / 4)];
        context.drawImage(video, 0, 0);
        const pixels = context.getImageData(0, 0, copy.width, copy.height).data;
        let luma = '';
        for (let i = 1; i < pixels.length; i += 4) luma += String.fromCharCode(pixels[i]);
        if (luma !== seen.at(-1)?.luma) seen.push({ width, height, luma });
      }
      if (seen.length < count) requestAnimationFrame(look);
      else done(seen.map(({ luma, ...size }) => ({ ...size, luma: btoa(luma) })));
    };
    look();
  });
}

/** Runs in the page: the energy of all sound that came (W3C WebRTC stats, totalAudioEnergy), in a second. */
async function heard() {
  const energy = async () => {
    let total = 0;
    for (const peer of window.peers.filter(({ connectionState }) => connectionState === 'connected')) {
      for (const entry of (await peer.getStats()).values()) {
        if (entry.type === 'inbound-rtp' && entry.kind === 'audio') total += entry.totalAudioEnergy ?? 0;
      }
    }
    return total;
  };
  const before = await energy();
  await new Promise((done) => setTimeout(done, 1_000));
  return (await energy()) - before;
}

/**
 * Runs in the page: the form of sound that the other side has named first, which is what is sent. Chromium's statistics name what
 * is in it.
 */
function sound() {
  return window.peers
    .filter(({ connectionState }) => connectionState === 'connected')
    .map(({ remoteDescription: { sdp } }) => {
      const [, first] = /^m=audio \S+ \S+ (\d+)/m.exec(sdp);
      return new RegExp(`^a=rtpmap:${first} (\\S+)`, 'm').exec(sdp)[1];
    });
}

/** Runs in the page: a browser that was built without H.264. */
function withoutH264() {
  const has = RTCRtpReceiver.getCapabilities;
  RTCRtpReceiver.getCapabilities = (kind) => {
    const found = has.call(RTCRtpReceiver, kind);
    return { ...found, codecs: found.codecs.filter(({ mimeType }) => mimeType.toLowerCase() !== 'video/h264') };
  };
}
