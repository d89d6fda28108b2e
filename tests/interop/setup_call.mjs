// Has two pages of Chromium call each other again and again, and reports how long each takes from the press of a button to
// the first picture of the other one.
//
//   node setup_call.mjs --clip CLIP.y4m --calls 10
//
// Whoever is called answers at once. Both open camera and microphone for the call. What they tell each other goes over a
// BroadcastChannel, which costs less than any server. Prints one JSON array of milliseconds.
import { parseArgs } from 'node:util';
import { open } from './pages.mjs';

const { values: options } = parseArgs({
  options: { clip: { type: 'string' }, calls: { type: 'string', default: '10' } },
});

const { browser, address, close } = await open(options.clip);
try {
  const context = await browser.newContext();
  const pages = [await context.newPage(), await context.newPage()];
  for (const page of pages) {
    await page.goto(address);
    await page.evaluate(definePage);
  }
  const [caller, callee] = pages;
  await callee.evaluate(() => answer());
  const took = [];
  for (let call = 0; call < Number(options.calls); call += 1) {
    took.push(await caller.evaluate(() => call()));
    // Both let go of their devices before the next call.
    await caller.evaluate(() => hangUp());
    await callee.waitForFunction(() => window.idle);
  }
  console.log(JSON.stringify(took));
} finally {
  await close();
}

function definePage() {
  const channel = new BroadcastChannel('signaling');
  const wanted = { video: { width: 1280, height: 720, frameRate: 30 }, audio: true };
  let pc, own;
  window.idle = true;

  async function open(onPicture) {
    window.idle = false;
    pc = new RTCPeerConnection();
    pc.onicecandidate = ({ candidate }) => candidate && channel.postMessage({ candidate: candidate.toJSON() });
    pc.ontrack = ({ track }) => {
      const element = document.createElement(track.kind);
      [element.autoplay, element.muted] = [true, true];
      element.srcObject = new MediaStream([track]);
      document.body.append(element);
      if (track.kind === 'video') element.requestVideoFrameCallback(() => onPicture());
    };
    own = await navigator.mediaDevices.getUserMedia(wanted);
    for (const track of own.getTracks()) pc.addTrack(track, own);
    return pc;
  }

  function close() {
    pc?.close();
    for (const track of own?.getTracks() ?? []) track.stop();
    document.body.replaceChildren();
    [pc, own] = [undefined, undefined];
    window.idle = true;
  }

  // Candidates may come while the camera is being opened.
  let early = [];
  const take = (candidate) => (pc?.remoteDescription ? pc.addIceCandidate(candidate) : early.push(candidate));
  const takeEarly = () => early.splice(0).map((candidate) => pc.addIceCandidate(candidate));

  window.call = () =>
    new Promise(async (done, failed) => {
      const start = performance.now();
      channel.onmessage = async ({ data: { answer, candidate } }) => {
        if (candidate) take(candidate);
        if (answer) await pc.setRemoteDescription(answer).then(takeEarly, failed);
      };
      await open(() => done(performance.now() - start));
      await pc.setLocalDescription();
      channel.postMessage({ offer: { type: pc.localDescription.type, sdp: pc.localDescription.sdp } });
    });

  window.answer = () => {
    channel.onmessage = async ({ data: { offer, candidate, over } }) => {
      if (candidate) take(candidate);
      if (over) close();
      if (offer) {
        await open(() => undefined);
        await pc.setRemoteDescription(offer).then(takeEarly);
        await pc.setLocalDescription();
        channel.postMessage({ answer: { type: pc.localDescription.type, sdp: pc.localDescription.sdp } });
      }
    };
  };

  window.hangUp = () => {
    close();
    channel.postMessage({ over: true });
  };
}
