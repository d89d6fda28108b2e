// Has Chromium call itself over a link that somebody else emulates, one side sending, the other receiving, and reports what came
// of it.
//
//   node network_call.mjs --clip CLIP.y4m --seconds 100 --kbps 6000
//
// Candidates are asked for as rtt_call.mjs does. The last line is {"freezes", "freeze_ms", "fps", "concealed"}.
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { open } from './pages.mjs';

const { values: options } = parseArgs({
  options: {
    clip: { type: 'string' },
    seconds: { type: 'string', default: '20' },
    kbps: { type: 'string', default: '6000' },
  },
});

const waiting = [];
createInterface({ input: process.stdin }).on('line', (line) => waiting.shift()?.(JSON.parse(line)));
function ask(question) {
  return new Promise((answered) => {
    waiting.push(answered);
    console.log(JSON.stringify(question));
  });
}

const { browser, address, close } = await open(options.clip, ['--allow-loopback-in-peer-connection']);
try {
  const page = await browser.newPage();
  await page.exposeFunction('rewrite', ask);
  await page.goto(address);
  await page.evaluate(definePage);
  const report = await page.evaluate(
    ([seconds, kbps]) => run(seconds, kbps),
    [Number(options.seconds), Number(options.kbps)],
  );
  console.log(JSON.stringify(report));
} finally {
  await close();
  process.stdin.destroy();
}

function definePage() {
  const wanted = { video: { width: 1280, height: 720, frameRate: 30 }, audio: true };

  window.run = async (seconds, kbps) => {
    const own = await navigator.mediaDevices.getUserMedia(wanted);
    const [caller, callee] = [new RTCPeerConnection(), new RTCPeerConnection()];
    const carry = (from, name, other) => {
      const early = [];
      from.onicecandidate = async ({ candidate }) => {
        if (!candidate?.candidate) return;
        const line = await rewrite({ call: 0, from: name, line: candidate.candidate });
        if (line === null) return;
        const init = { ...candidate.toJSON(), candidate: line };
        if (other.remoteDescription) await other.addIceCandidate(init);
        else early.push(init);
      };
      return () => Promise.all(early.splice(0).map((init) => other.addIceCandidate(init)));
    };
    const toCallee = carry(caller, 'a', callee);
    const toCaller = carry(callee, 'b', caller);
    const seen = new Promise((done, failed) => {
      // Over a link that nothing gets through, nobody would ever say anything.
      setTimeout(() => failed(new Error('no picture came within 30 s')), 30_000);
      callee.ontrack = ({ track }) => {
        const element = document.createElement(track.kind);
        [element.autoplay, element.muted] = [true, track.kind === 'video'];
        element.srcObject = new MediaStream([track]);
        document.body.append(element);
        if (track.kind === 'video') element.requestVideoFrameCallback(done);
      };
    });
    const senders = own.getTracks().map((track) => caller.addTrack(track, own));
    const bare = ({ type, sdp }) => ({ type, sdp: sdp.replace(/^a=(candidate|end-of-candidates).*\r\n/gm, '') });
    await caller.setLocalDescription();
    await callee.setRemoteDescription(bare(caller.localDescription));
    await toCallee();
    await callee.setLocalDescription();
    await caller.setRemoteDescription(bare(callee.localDescription));
    await toCaller();
    const video = senders.find((sender) => sender.track.kind === 'video');
    const parameters = video.getParameters();
    for (const encoding of parameters.encodings) encoding.maxBitrate = kbps * 1000;
    await video.setParameters(parameters);
    await seen;
    const start = performance.now();
    await new Promise((over) => setTimeout(over, seconds * 1000));
    const stats = [...(await callee.getStats()).values()].filter(({ type }) => type === 'inbound-rtp');
    const [pictures, sound] = ['video', 'audio'].map((kind) => stats.find((one) => one.kind === kind));
    return {
      freezes: pictures.freezeCount,
      freeze_ms: pictures.totalFreezesDuration * 1000,
      fps: pictures.framesDecoded / ((performance.now() - start) / 1000),
      concealed: sound.concealedSamples / Math.max(1, sound.totalSamplesReceived),
    };
  };
}
