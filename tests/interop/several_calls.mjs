// Calls of Chromium beside each other over links that somebody else emulates: a page that calls itself several times.
//
//   node several_calls.mjs --clip CLIP.y4m --seconds 120 --kbps 6000 --calls '[{"starts": 0, "pause": [40, 60]}]'
//
// Times are seconds since the first call. While a call pauses it has no pictures; its sound goes on. Candidates are asked for as
// rtt_call.mjs does, with the number of the call; the last line is a list of {"freezes", "freeze_ms", "fps", "concealed"}.
import { parseArgs } from 'node:util';
import { describe, open } from './pages.mjs';
import { ask } from './questions.mjs';

const { values: options } = parseArgs({
  options: {
    clip: { type: 'string' },
    seconds: { type: 'string' },
    kbps: { type: 'string', default: '6000' },
    calls: { type: 'string' },
  },
});
const { luma: _, ...clip } = describe(options.clip);
const wanted = { clip, kbps: Number(options.kbps), seconds: Number(options.seconds), calls: JSON.parse(options.calls) };

const { browser, address, close } = await open(options.clip, ['--allow-loopback-in-peer-connection']);
try {
  const page = await browser.newPage();
  page.on('pageerror', (error) => console.error(error.message));
  await page.exposeFunction('rewrite', ask);
  await page.goto(address);
  await page.evaluate(definePage);
  console.log(JSON.stringify(await page.evaluate((wanted) => callAll(wanted), wanted)));
} finally {
  await close();
  process.stdin.destroy();
}

async function definePage() {
  const { connect, onlyH264, play } = await import('/page/call.mjs');

  window.callAll = async ({ clip, kbps, seconds, calls }) => {
    const size = { width: clip.width, height: clip.height };
    const own = await navigator.mediaDevices.getUserMedia({ video: { ...size, frameRate: clip.rate }, audio: true });
    const begin = performance.now();
    const until = (at) => new Promise((come) => setTimeout(come, begin + at * 1000 - performance.now()));
    return Promise.all(calls.map((call, number) => callOnce(number, call, { own, kbps, seconds, until })));
  };

  async function callOnce(number, { starts, pause }, { own, kbps, seconds, until }) {
    await until(starts);
    const [caller, callee] = [new RTCPeerConnection(), new RTCPeerConnection()];
    const senders = own.getTracks().map((track) => caller.addTrack(track, own));
    const video = senders.find((sender) => sender.track.kind === 'video');
    const pictures = video.track;
    onlyH264(caller.getTransceivers().find(({ sender }) => sender === video));
    callee.ontrack = ({ track }) => play(track, track.kind === 'video');
    await connect(caller, callee, number, rewrite);
    const parameters = video.getParameters();
    for (const encoding of parameters.encodings) encoding.maxBitrate = kbps * 1000;
    await video.setParameters(parameters);
    const began = performance.now();
    if (pause) {
      await until(pause[0]);
      await video.replaceTrack(null);
      await until(pause[1]);
      await video.replaceTrack(pictures);
    }
    await until(seconds);
    const stats = [...(await callee.getStats()).values()].filter(({ type }) => type === 'inbound-rtp');
    const [seen, heard] = ['video', 'audio'].map((kind) => stats.find((one) => one.kind === kind));
    const lasted = (performance.now() - began) / 1000;
    [caller, callee].forEach((pc) => pc.close());
    return {
      freezes: seen.freezeCount,
      freeze_ms: seen.totalFreezesDuration * 1000,
      fps: seen.framesDecoded / lasted,
      concealed: heard.concealedSamples / Math.max(1, heard.totalSamplesReceived),
      ssim_seen: null,
    };
  }
}
