// A call of Chromium over a link that somebody else emulates, one side sending, the other receiving, and what came of it.
//
//   node network_call.mjs --clip STAMPED.y4m --seconds 100 --kbps 6000 [--codec h264|default] [--role both|send|receive]
//     [--file-from 10]
//
// The clip's pictures carry their numbers (crates/measure/src/stamp.rs). With --role both Chromium calls itself: candidates are
// asked for as rtt_call.mjs does, and the last line is {"freezes", "freeze_ms", "fps", "concealed", "ssim_seen"}. With --file-from
// a file that never ends goes along over a data channel, from so many seconds after the first picture on.
//
// With the other roles the other end is somebody else's:
//
// out  {"ready": true}      from here on the end can be called; if it sends, it calls
//      {"signal": {...}}    to be carried to the other end (`Signal` of crates/rtc)
//      {"report": {...}}    at the end of an end that receives, with the same figures
// in   {"signal": {...}}    from there
//      {"over": true}       asks for the report and ends everything, as the end of standard input does without a report
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { describe, open } from './pages.mjs';
import { ask } from './questions.mjs';

const { values: options } = parseArgs({
  options: {
    clip: { type: 'string' },
    seconds: { type: 'string', default: '20' },
    kbps: { type: 'string', default: '6000' },
    codec: { type: 'string', default: 'h264' },
    role: { type: 'string', default: 'both' },
    'file-from': { type: 'string' },
  },
});
const say = (line) => console.log(JSON.stringify(line));
const { luma: _, ...clip } = describe(options.clip);
const call = { clip, role: options.role, h264: options.codec === 'h264', kbps: Number(options.kbps) };

const { browser, address, close } = await open(options.clip, ['--allow-loopback-in-peer-connection']);
try {
  const page = await browser.newPage();
  page.on('pageerror', (error) => console.error(error.message));
  await page.exposeFunction('rewrite', ask);
  await page.exposeFunction('signal', (signal) => say({ signal }));
  await page.goto(address);
  await page.evaluate(definePage);
  if (options.role === 'both') {
    const fileFrom = options['file-from'] === undefined ? null : Number(options['file-from']);
    const times = { seconds: Number(options.seconds), fileFrom };
    say(await page.evaluate(([call, times]) => callMyself(call, times), [call, times]));
  } else {
    await page.evaluate((call) => begin(call), call);
    say({ ready: true });
    if (options.role === 'send') await page.evaluate(() => offer());
    if (await follow(page)) say({ report: await page.evaluate(() => report()) });
  }
} finally {
  await close();
  process.stdin.destroy();
}

/** Hands on what the other end says; whether a report is asked for. */
async function follow(page) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { signal, over } = JSON.parse(line);
    if (over) return true;
    // In the order in which they came, which the page keeps.
    page.evaluate((said) => hear(said), signal).catch((error) => console.error(error.message));
  }
  return false;
}

async function definePage() {
  const { bare, connect, onlyH264, play } = await import('/page/call.mjs');
  const { watch } = await import('/page/seen.mjs');

  window.callMyself = async (call, { seconds, fileFrom }) => {
    const [caller, callee] = [new RTCPeerConnection(), new RTCPeerConnection()];
    const screen = receive(callee, call);
    const limit = await send(caller, call);
    const file = fileFrom === null ? null : caller.createDataChannel('file', { ordered: false });
    await connect(caller, callee, 0, rewrite);
    await limit();
    await screen.first;
    if (file) setTimeout(() => sendWithoutEnd(file), fileFrom * 1000);
    await new Promise((over) => setTimeout(over, seconds * 1000));
    return screen.report();
  };

  // As pages send files: so much waits in the browser, whatever the link carries.
  function sendWithoutEnd(channel) {
    const piece = crypto.getRandomValues(new Uint8Array(64 * 1024));
    channel.bufferedAmountLowThreshold = 512 * 1024;
    const more = () => {
      while (channel.readyState === 'open' && channel.bufferedAmount < 1024 * 1024) channel.send(piece);
    };
    channel.onbufferedamountlow = more;
    more();
  }

  /** Adds camera and microphone; what it gives limits the pictures, once there is an answer. */
  async function send(pc, { clip, h264, kbps }) {
    const size = { width: clip.width, height: clip.height };
    const own = await navigator.mediaDevices.getUserMedia({ video: { ...size, frameRate: clip.rate }, audio: true });
    const senders = own.getTracks().map((track) => pc.addTrack(track, own));
    const video = senders.find((sender) => sender.track.kind === 'video');
    if (h264) onlyH264(pc.getTransceivers().find(({ sender }) => sender === video));
    return () => {
      const parameters = video.getParameters();
      for (const encoding of parameters.encodings) encoding.maxBitrate = kbps * 1000;
      return video.setParameters(parameters);
    };
  }

  function receive(pc, { clip }) {
    let [start, watching] = [NaN, null];
    const first = new Promise((done, failed) => {
      // Over a link that nothing gets through, nobody would ever say anything.
      setTimeout(() => failed(new Error('no picture came within 30 s')), 30_000);
      pc.ontrack = ({ track }) => {
        const element = play(track, track.kind === 'video');
        if (track.kind !== 'video') return;
        watching = watch(track, clip);
        element.requestVideoFrameCallback(() => {
          start = performance.now();
          done();
        });
      };
    });
    const report = async () => {
      const lasted = (performance.now() - start) / 1000;
      const stats = [...(await pc.getStats()).values()].filter(({ type }) => type === 'inbound-rtp');
      const [pictures, sound] = ['video', 'audio'].map((kind) => stats.find((one) => one.kind === kind));
      return {
        freezes: pictures.freezeCount,
        freeze_ms: pictures.totalFreezesDuration * 1000,
        fps: pictures.framesDecoded / lasted,
        concealed: sound.concealedSamples / Math.max(1, sound.totalSamplesReceived),
        ssim_seen: await watching.finish(),
      };
    };
    return { first, report };
  }

  // One end. The sender offers and nobody offers again, so that descriptions never cross.
  let pc, answered, queue;
  const tell = ({ type, sdp }) => signal({ type: 'description', kind: type, sdp });

  window.begin = async (call) => {
    pc = new RTCPeerConnection();
    pc.onicecandidate = ({ candidate }) => {
      if (!candidate?.candidate) return;
      signal({
        type: 'candidate', candidate: candidate.candidate, sdp_mid: candidate.sdpMid,
        sdp_mline_index: candidate.sdpMLineIndex, ufrag: candidate.usernameFragment,
      });
    };
    queue = Promise.resolve();
    if (call.role === 'receive') {
      window.report = receive(pc, call).report;
      return;
    }
    answered = await send(pc, call);
    window.report = () => null;
  };

  window.offer = async () => {
    await pc.setLocalDescription();
    await tell(bare(pc.localDescription));
  };

  window.hear = (said) => {
    const done = queue.then(() => take(said));
    queue = done.catch(() => {});
    return done;
  };

  async function take(said) {
    if (said.type === 'candidate') {
      await pc.addIceCandidate({
        candidate: said.candidate, sdpMid: said.sdp_mid, sdpMLineIndex: said.sdp_mline_index, usernameFragment: said.ufrag,
      });
      return;
    }
    await pc.setRemoteDescription({ type: said.kind, sdp: said.sdp });
    if (said.kind === 'answer') return answered();
    await pc.setLocalDescription();
    await tell(bare(pc.localDescription));
  }
}
