// A file from one page to another over a data channel, from the disk to the disk (OPFS), over a link that somebody else emulates.
//
//   node files.mjs --file PATH --seconds 60
//
// Candidates are asked for as rtt_call.mjs does; the last line is {"bytes", "seconds"}: what has arrived, and from the first byte
// that was sent to the end, or until the time is over.
import { parseArgs } from 'node:util';
import { open } from './pages.mjs';
import { ask } from './questions.mjs';

const { values: options } = parseArgs({ options: { file: { type: 'string' }, seconds: { type: 'string' } } });

// Neither page is in the background for Chromium, which gives those less to do.
const { browser, address, close } = await open('/dev/null', [
  '--allow-loopback-in-peer-connection',
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
]);
try {
  // Two pages of one context have a process each, as two people have.
  const context = await browser.newContext();
  const [gives, takes] = [await context.newPage(), await context.newPage()];
  for (const [page, other, side] of [[gives, () => takes, 'a'], [takes, () => gives, 'b']]) {
    page.on('pageerror', (error) => console.error(error.message));
    await page.exposeFunction('carry', async (said) => {
      if (said.candidate) {
        const line = await ask({ call: 0, from: side, line: said.candidate.candidate });
        if (line === null) return;
        said.candidate.candidate = line;
      }
      other().evaluate((said) => hear(said), said).catch((error) => console.error(error.message));
    });
    await page.goto(address);
    await page.evaluate(definePage);
  }
  await takes.evaluate(() => take());
  await gives.setInputFiles('input', options.file);
  let closing = false;
  gives.evaluate(() => give()).catch((error) => closing || console.error(error.message));
  const over = await takes.evaluate((seconds) => arrived(seconds), Number(options.seconds));
  closing = true;
  console.log(JSON.stringify(over));
} finally {
  await close();
  process.stdin.destroy();
}

async function definePage() {
  const { bare } = await import('/page/call.mjs');
  document.body.innerHTML = '<input type="file">';
  const pc = new RTCPeerConnection();
  let queue = Promise.resolve();
  pc.onicecandidate = ({ candidate }) => candidate?.candidate && carry({ candidate: candidate.toJSON() });

  window.hear = (said) => (queue = queue.then(() => heard(said)));

  async function heard({ candidate, description }) {
    if (candidate) return pc.addIceCandidate(candidate);
    await pc.setRemoteDescription(description);
    if (description.type === 'offer') {
      await pc.setLocalDescription();
      await carry({ description: bare(pc.localDescription) });
    }
  }

  // The most that all browsers take at once, and as much waiting as keeps any link busy.
  const MESSAGE = 256 * 1024;
  const AHEAD = 8 * 1024 * 1024;
  const AT_ONCE = 4 * 1024 * 1024;

  window.give = async () => {
    const file = document.querySelector('input').files[0];
    const channel = pc.createDataChannel('file', { ordered: true });
    channel.bufferedAmountLowThreshold = AHEAD / 2;
    const opened = new Promise((open) => (channel.onopen = open));
    await pc.setLocalDescription();
    await carry({ description: bare(pc.localDescription) });
    await opened;
    channel.send(JSON.stringify({ size: file.size }));
    for (let at = 0; at < file.size; at += AT_ONCE) {
      const part = await file.slice(at, at + AT_ONCE).arrayBuffer();
      for (let from = 0; from < part.byteLength; from += MESSAGE) {
        if (channel.bufferedAmount > AHEAD) await new Promise((low) => (channel.onbufferedamountlow = low));
        channel.send(new Uint8Array(part, from, Math.min(MESSAGE, part.byteLength - from)));
      }
    }
  };

  let whole, bytes = 0, began;
  window.take = () => {
    const done = new Promise((resolve) => {
      pc.ondatachannel = async ({ channel }) => {
        channel.binaryType = 'arraybuffer';
        const waiting = [];
        let size, writable, writing = Promise.resolve();
        channel.onmessage = ({ data }) => {
          if (typeof data === 'string') {
            began = performance.now();
            size = JSON.parse(data).size;
            writing = (async () => {
              const folder = await navigator.storage.getDirectory();
              writable = await (await folder.getFileHandle('file', { create: true })).createWritable();
            })();
            return;
          }
          bytes += data.byteLength;
          writing = writing.then(() => writable.write(data));
          if (bytes === size) writing.then(() => writable.close()).then(() => resolve(performance.now()));
        };
      };
    });
    whole = done;
  };

  window.arrived = async (seconds) => {
    const late = new Promise((over) => setTimeout(over, seconds * 1000));
    const end = await Promise.race([whole, late]);
    return { bytes, seconds: ((end ?? performance.now()) - began) / 1000 };
  };
}
