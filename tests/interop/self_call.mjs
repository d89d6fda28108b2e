// Has Chromium call itself and reports in the form of `ahoy-cli loopback --json` (the fields that it can know).
//
//   node self_call.mjs --clip STAMPED.y4m --size 1280x720 --bitrate 1500 --seconds 20 [--calls 1] [--display :7]
//
// With --display the browser opens a window there and shows one's own picture beside the received one, as large as Ahoy's
// window does; contents are then not compared.
//
// The clip's pictures carry frame numbers as black and white cells (crates/measure/src/stamp.rs), so that a picture that
// arrives can be told from the others. The call runs in three parts: Chromium's bandwidth estimate climbs from 300 kbit/s
// for WARM_UP seconds; then CPU, frame rate and bitrate are taken from an undisturbed call; then pictures are read and
// compared at both ends. Prints one JSON array, one report for each call.
import { chromium } from 'playwright-core';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { serve } from './pages.mjs';

const { values: options } = parseArgs({
  options: {
    clip: { type: 'string' },
    size: { type: 'string', default: '1280x720' },
    bitrate: { type: 'string', default: '1500' },
    seconds: { type: 'string', default: '20' },
    calls: { type: 'string', default: '1' },
    display: { type: 'string' },
  },
});
const [width, height] = options.size.split('x').map(Number);
const seconds = Number(options.seconds);
const calls = Number(options.calls);
const WARM_UP = 8;
const TICKS_PER_SECOND = 100; // USER_HZ, the same on every Linux that runs Debian.

const profile = mkdtempSync(join(tmpdir(), 'ahoy-self-call-'));
const server = await serve(options.clip);
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: '/usr/bin/chromium',
  headless: options.display === undefined,
  env: { ...process.env, ...(options.display && { DISPLAY: options.display }) },
  // Of the window's content: the size that Ahoy's window opens with.
  viewport: { width: 1040, height: 720 },
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
    '--disable-features=WebRtcHideLocalIpsWithMdns', '--autoplay-policy=no-user-gesture-required',
    `--use-file-for-fake-video-capture=${options.clip}`,
  ],
});
try {
  const page = await browser.newPage();
  await page.goto(server.address);
  await page.evaluate(definePage);
  await page.evaluate(([w, h, kbps, n, shown]) => startCalls(w, h, kbps, n, shown), [width, height, Number(options.bitrate), calls, options.display !== undefined]);
  await page.waitForTimeout(WARM_UP * 1000);
  const before = { cpu: treeCpu(profile), at: Date.now(), stats: await page.evaluate(() => collect()) };
  await page.waitForTimeout(seconds * (options.display ? 1000 : 500));
  const after = { cpu: treeCpu(profile), at: Date.now(), stats: await page.evaluate(() => collect()) };
  const memory = treeMemory(profile);
  const content = await page.evaluate((ms) => readContent(ms), options.display ? 0 : seconds * 500);
  const elapsed = (after.at - before.at) / 1000;
  const reports = after.stats.map((end, i) => report(before.stats[i], end, content[i], elapsed));
  for (const one of reports) {
    // The browser is one program however many calls it makes: each call carries its share.
    one.cpu_cores = (after.cpu - before.cpu) / elapsed / calls;
    one.peak_rss_mb = memory / calls;
  }
  console.log(JSON.stringify(reports));
} finally {
  await browser.close();
  server.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
}

function report(start, end, content, elapsed) {
  const frames = end.decoded - start.decoded;
  const sent = end.encoded - start.encoded;
  return {
    delivered_percent: sent > 0 ? Math.min(100, (frames / sent) * 100) : null,
    shown_percent: Math.min(100, (frames / (end.captured - start.captured)) * 100),
    setup_ms: { total: end.setup },
    video: {
      fps: frames / elapsed,
      freezes: end.freezes - start.freezes,
      bitrate_kbps: ((end.bytesSent - start.bytesSent) * 8) / 1000 / elapsed,
      psnr_y_db: content.psnr,
      decoded_latency_ms: content.latency,
    },
    audio: { concealed_ratio: (end.concealed - start.concealed) / Math.max(1, end.samples - start.samples) },
  };
}

// Processes of the browser that uses this profile: found by the profile's path on the command line, and their children.
function tree(profilePath) {
  const all = new Map();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      all.set(pid, { parent: fields[1], ticks: Number(fields[11]) + Number(fields[12]), ours: command.includes(profilePath) });
    } catch {
      // The process ended while the list was read.
    }
  }
  const belongs = (pid) => {
    for (let at = pid; all.has(at); at = all.get(at).parent) if (all.get(at).ours) return true;
    return false;
  };
  return [...all].filter(([pid]) => belongs(pid)).map(([pid, process]) => ({ pid, ...process }));
}

function treeCpu(profilePath) {
  return tree(profilePath).reduce((sum, process) => sum + process.ticks, 0) / TICKS_PER_SECOND;
}

function treeMemory(profilePath) {
  let kilobytes = 0;
  for (const { pid } of tree(profilePath)) {
    try {
      kilobytes += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
    } catch {
      // The process ended while the list was read.
    }
  }
  return (kilobytes * 1024) / 1e6;
}

async function definePage() {
  const { onlyH264, play } = await import('/page/call.mjs');
  const { lumaOf, readStamp, squaredError } = await import('/page/stamped.mjs');
  const all = [];

  window.startCalls = async (width, height, kbps, count, shown) => {
    for (let i = 0; i < count; i += 1) all.push(await startCall(width, height, kbps, shown));
  };

  async function startCall(width, height, kbps, shown) {
    const start = performance.now();
    const call = { setup: null, caller: new RTCPeerConnection(), callee: new RTCPeerConnection() };
    const { caller, callee } = call;
    caller.onicecandidate = ({ candidate }) => candidate && callee.addIceCandidate(candidate);
    callee.onicecandidate = ({ candidate }) => candidate && caller.addIceCandidate(candidate);
    callee.ontrack = ({ track }) => {
      const element = play(track, true);
      if (shown) element.width = 494;
      if (track.kind !== 'video') return;
      call.remote = track;
      element.requestVideoFrameCallback(() => { call.setup = performance.now() - start; });
    };
    const stream = await navigator.mediaDevices.getUserMedia({ video: { width, height, frameRate: 30 }, audio: true });
    for (const track of stream.getTracks()) caller.addTrack(track, stream);
    [call.local] = stream.getVideoTracks();
    if (shown) {
      play(call.local, true).width = 494;
    }
    const transceiver = caller.getTransceivers().find(({ sender }) => sender.track.kind === 'video');
    onlyH264(transceiver);
    await caller.setLocalDescription();
    await callee.setRemoteDescription(caller.localDescription);
    await callee.setLocalDescription();
    await caller.setRemoteDescription(callee.localDescription);
    const parameters = transceiver.sender.getParameters();
    parameters.encodings[0].maxBitrate = kbps * 1000;
    parameters.degradationPreference = 'maintain-resolution';
    await transceiver.sender.setParameters(parameters);
    return call;
  }

  window.collect = () => Promise.all(all.map(async ({ caller, callee, setup }) => {
    const found = { setup };
    for (const s of (await caller.getStats()).values()) {
      if (s.type === 'media-source' && s.kind === 'video') found.captured = s.frames;
      if (s.type === 'outbound-rtp' && s.kind === 'video') Object.assign(found, { encoded: s.framesEncoded, bytesSent: s.bytesSent });
    }
    for (const s of (await callee.getStats()).values()) {
      if (s.type !== 'inbound-rtp') continue;
      if (s.kind === 'video') Object.assign(found, { decoded: s.framesDecoded, freezes: s.freezeCount });
      else Object.assign(found, { concealed: s.concealedSamples, samples: s.totalSamplesReceived });
    }
    return found;
  }));

  window.readContent = (ms) => Promise.all(all.map((call) => readCall(call, ms)));

  async function readCall({ local, remote }, ms) {
    const captured = new Map();
    const latencies = [];
    const errors = [];
    const end = performance.now() + ms;
    await Promise.all([
      eachFrame(local, end, (id, at, luma) => captured.set(id, { at, luma })),
      eachFrame(remote, end, (id, at, luma) => {
        const original = captured.get(id);
        if (!original) return;
        captured.delete(id);
        latencies.push(at - original.at);
        const error = id % 10 === 0 ? squaredError(original.luma, luma) : null;
        if (error !== null) errors.push(error);
      }),
    ]);
    latencies.sort((a, b) => a - b);
    const at = (share) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? null;
    return {
      latency: { p50: at(0.5), p95: at(0.95) },
      // Of the mean error, as `ahoy-cli` reports it: a mean of decibels would favour a quality that goes up and down.
      psnr: errors.length ? 10 * Math.log10(255 ** 2 / (errors.reduce((a, b) => a + b) / errors.length)) : null,
    };
  }

  async function eachFrame(track, end, see) {
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    while (performance.now() < end) {
      const { value: frame, done } = await reader.read();
      if (done) return;
      const at = performance.now();
      const luma = await lumaOf(frame);
      frame.close();
      const id = readStamp(luma);
      if (id !== null) see(id, at, luma);
    }
    await reader.cancel();
  }
}
