// Has two connections of Chromium call each other again and again over links that somebody else emulates, and reports how long
// each call takes from its beginning to the first picture. One side sends, the other receives, as in a call to oneself.
//
//   node rtt_call.mjs --clip CLIP.y4m --calls 5
//
// What each tells the other is asked for on standard output, one JSON object a line, {"call", "from": "a"|"b", "line"}, and
// answered on standard input in order: the candidate's line to be used in its place, or null to leave it out. The last line is
// {"took": [milliseconds]}. Camera and microphone are open before a call begins.
import { parseArgs } from 'node:util';
import { open } from './pages.mjs';
import { ask } from './questions.mjs';

const { values: options } = parseArgs({
  options: { clip: { type: 'string' }, calls: { type: 'string', default: '5' } },
});

// Where the machine has no network but loopback, that is what the call goes over.
const { browser, address, close } = await open(options.clip, ['--allow-loopback-in-peer-connection']);
try {
  const page = await browser.newPage();
  await page.exposeFunction('rewrite', ask);
  await page.goto(address);
  await page.evaluate(definePage);
  const took = [];
  for (let call = 0; call < Number(options.calls); call += 1) took.push(await page.evaluate((call) => run(call), call));
  console.log(JSON.stringify({ took }));
} finally {
  await close();
  process.stdin.destroy();
}

async function definePage() {
  const { connect, play } = await import('/page/call.mjs');
  const wanted = { video: { width: 1280, height: 720, frameRate: 30 }, audio: true };

  window.run = async (call) => {
    const own = await navigator.mediaDevices.getUserMedia(wanted);
    const start = performance.now();
    const [caller, callee] = [new RTCPeerConnection(), new RTCPeerConnection()];
    const seen = new Promise((done) => {
      callee.ontrack = ({ track }) => {
        const element = play(track, true);
        if (track.kind === 'video') element.requestVideoFrameCallback(() => done(performance.now() - start));
      };
    });
    for (const track of own.getTracks()) caller.addTrack(track, own);
    await connect(caller, callee, call, rewrite);
    const took = await seen;
    caller.close();
    callee.close();
    for (const track of own.getTracks()) track.stop();
    document.body.replaceChildren();
    return took;
  };
}
