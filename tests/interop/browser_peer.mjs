// One end of a call in Chromium, driven over lines of JSON on standard input and output by crates/client/tests/chromium.
//
//   node browser_peer.mjs --clip STAMPED.y4m
//
// in   {"id": 1, "call": "addCamera", "arguments": []}       a method of `peer` below
// out  {"id": 1, "result": ...} or {"id": 1, "error": "..."}
//      {"signal": {...}}                                       to be carried to the other end (`Signal` of crates/rtc)
import { chromium } from 'playwright-core';
import { createServer } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({ options: { clip: { type: 'string' } } });
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const profile = mkdtempSync(join(tmpdir(), 'ahoy-browser-peer-'));
const server = createServer((_, reply) => reply.setHeader('content-type', 'text/html').end('<!doctype html><body></body>'));
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: '/usr/bin/chromium',
  headless: true,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
    '--disable-features=WebRtcHideLocalIpsWithMdns', '--autoplay-policy=no-user-gesture-required',
    '--allow-loopback-in-peer-connection', `--use-file-for-fake-video-capture=${options.clip}`,
  ],
});
try {
  const page = await browser.newPage();
  await page.exposeFunction('signal', (signal) => say({ signal }));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.evaluate(definePeer);
  say({ id: 0, result: browser.browser()?.version() ?? await page.evaluate(() => navigator.userAgent) });
  // In the order in which they came; what takes long does not hold up the rest.
  const running = new Set();
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, call, arguments: given } = JSON.parse(line);
    const done = page
      .evaluate(([name, values]) => peer[name](...values), [call, given])
      .then((result) => say({ id, result: result ?? null }), (error) => say({ id, error: error.message }));
    running.add(done);
    done.finally(() => running.delete(done));
  }
} finally {
  await browser.close();
  server.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
}

/** Runs in the page. */
function definePeer() {
  const pc = new RTCPeerConnection();
  const channels = new Map();
  const remotes = [];
  let polite = true;
  let makingOffer = false;
  let ignoreOffer = false;
  let queue = Promise.resolve();
  let repeats = false;

  // Perfect negotiation, as W3C WebRTC section 10.7 has it.
  pc.onnegotiationneeded = async () => {
    try {
      makingOffer = true;
      await pc.setLocalDescription();
      signal({ type: 'description', kind: pc.localDescription.type, sdp: pc.localDescription.sdp });
    } finally {
      makingOffer = false;
    }
  };
  pc.onicecandidate = ({ candidate }) => {
    if (!candidate?.candidate) return;
    signal({
      type: 'candidate', candidate: candidate.candidate, sdp_mid: candidate.sdpMid,
      sdp_mline_index: candidate.sdpMLineIndex, ufrag: candidate.usernameFragment,
    });
  };
  const onSignal = async (said) => {
    if (said.type === 'candidate') {
      try {
        await pc.addIceCandidate({
          candidate: said.candidate, sdpMid: said.sdp_mid, sdpMLineIndex: said.sdp_mline_index, usernameFragment: said.ufrag,
        });
      } catch (error) {
        if (!ignoreOffer) throw error;
      }
      return;
    }
    const collision = said.kind === 'offer' && (makingOffer || pc.signalingState !== 'stable');
    ignoreOffer = !polite && collision;
    if (ignoreOffer) return;
    // What is named first is sent.
    const sdp = repeats ? said.sdp.replace(/^(m=audio .*SAVPF)(.*) 63\b/m, (_, media, others) => `${media} 63${others}`) : said.sdp;
    await pc.setRemoteDescription({ type: said.kind, sdp });
    if (said.kind === 'offer') {
      await pc.setLocalDescription();
      signal({ type: 'description', kind: pc.localDescription.type, sdp: pc.localDescription.sdp });
    }
  };

  pc.ontrack = ({ track, receiver }) => {
    const element = document.createElement(track.kind);
    element.autoplay = true;
    element.muted = true;
    element.srcObject = new MediaStream([track]);
    document.body.append(element);
    remotes.push({ track, receiver });
  };
  const remote = async (kind, index) => {
    for (;;) {
      const found = remotes.filter(({ track }) => track.kind === kind)[index];
      if (found) return found;
      await new Promise((next) => pc.addEventListener('track', () => setTimeout(next), { once: true }));
    }
  };

  const watch = (channel) => {
    channel.binaryType = 'arraybuffer';
    const known = { channel, received: [] };
    channels.set(channel.label, known);
    channel.onmessage = ({ data }) => {
      known.received.push(typeof data === 'string' ? data : data.byteLength);
      channel.send(data);
    };
    return new Promise((open) => (channel.onopen = open));
  };
  pc.ondatachannel = ({ channel }) => watch(channel);

  const base64 = (bytes) => {
    let text = '';
    for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
    return btoa(text);
  };

  window.peer = {
    start: (isPolite) => {
      polite = isPolite;
    },
    signal: (said) => {
      const done = queue.then(() => onSignal(said));
      queue = done.catch(() => {});
      return done;
    },
    state: () => pc.connectionState,
    async addCamera(size) {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { width: { exact: size[0] }, height: { exact: size[1] }, frameRate: 30 } });
      const [track] = stream.getVideoTracks();
      pc.addTrack(track, stream);
      const { width, height, frameRate } = track.getSettings();
      return { width, height, frameRate };
    },
    /** `repeated` has each packet carry the one before as well (RFC 2198). */
    async addTone(hertz, repeated = false) {
      const context = new AudioContext({ sampleRate: 48000 });
      const tone = new OscillatorNode(context, { frequency: hertz });
      const loudness = new GainNode(context, { gain: 0.3 });
      const out = context.createMediaStreamDestination();
      tone.connect(loudness).connect(out);
      tone.start();
      pc.addTrack(out.stream.getAudioTracks()[0], out.stream);
      repeats = repeated;
    },
    restartIce: () => pc.restartIce(),
    openChannel: (label, init) => {
      watch(pc.createDataChannel(label, init));
    },
    /** Resolves with the channel's own parameters once it is open. */
    async channel(label) {
      for (;;) {
        const known = channels.get(label);
        if (known?.channel.readyState === 'open') {
          const { ordered, maxRetransmits } = known.channel;
          return { ordered, maxRetransmits };
        }
        await new Promise((later) => setTimeout(later, 5));
      }
    },
    sendText: (label, text) => channels.get(label).channel.send(text),
    sendBytes: (label, length) => channels.get(label).channel.send(new Uint8Array(length).fill(7)),
    received: (label) => channels.get(label).received,
    /** The next `count` pictures of a remote video in I420, one of `every`. */
    async pictures(index, count, every) {
      const { track } = await remote('video', index);
      const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
      const pictures = [];
      for (let number = 0; pictures.length < count; number += 1) {
        const { value: frame, done } = await reader.read();
        if (done) throw new Error('the remote video has ended');
        if (number % every === 0) {
          const { width, height } = frame.visibleRect;
          const [cw, ch] = [(width + 1) >> 1, (height + 1) >> 1];
          const bytes = new Uint8Array(width * height + 2 * cw * ch);
          const layout = [
            { offset: 0, stride: width }, { offset: width * height, stride: cw },
            { offset: width * height + cw * ch, stride: cw },
          ];
          if (frame.format !== 'I420') throw new Error(`pictures are ${frame.format}`);
          await frame.copyTo(bytes, { layout });
          pictures.push({ width, height, i420: base64(bytes) });
        }
        frame.close();
      }
      await reader.cancel();
      return pictures;
    },
    /** Samples of the remote sound at 48 kHz, as little-endian 32-bit floats. */
    async sound(samples) {
      const { track } = await remote('audio', 0);
      const context = new AudioContext({ sampleRate: 48000 });
      await context.audioWorklet.addModule(URL.createObjectURL(new Blob([`
        registerProcessor('tap', class extends AudioWorkletProcessor {
          process([[mono]]) { if (mono) this.port.postMessage(mono.slice()); return true; }
        });`], { type: 'text/javascript' })));
      const tap = new AudioWorkletNode(context, 'tap', { channelCount: 1, channelCountMode: 'explicit' });
      context.createMediaStreamSource(new MediaStream([track])).connect(tap).connect(context.destination);
      const heard = new Float32Array(samples);
      let length = 0;
      let loud = false;
      await new Promise((full) => {
        tap.port.onmessage = ({ data }) => {
          // From the first sound on: the jitter buffer plays silence until then.
          loud ||= data.some((sample) => Math.abs(sample) > 0.05);
          if (!loud || length === samples) return;
          const part = data.subarray(0, samples - length);
          heard.set(part, length);
          length += part.length;
          if (length === samples) full();
        };
      });
      await context.close();
      return base64(new Uint8Array(heard.buffer));
    },
    /** Asks the other end for a key frame, as a receiver that was reset would. */
    async requestKeyframe(index) {
      const { receiver } = await remote('video', index);
      if (!receiver.ahoyWorker) {
        const worker = new Worker(URL.createObjectURL(new Blob([`
          let transformer;
          onrtctransform = (event) => {
            transformer = event.transformer;
            transformer.readable.pipeTo(transformer.writable);
            postMessage('ready');
          };
          onmessage = async () => {
            try { await transformer.sendKeyFrameRequest(); postMessage('sent'); } catch (error) { postMessage(String(error)); }
          };`], { type: 'text/javascript' })));
        const ready = new Promise((heard) => (worker.onmessage = heard));
        receiver.transform = new RTCRtpScriptTransform(worker);
        receiver.ahoyWorker = worker;
        await ready;
      }
      const said = await new Promise((heard) => {
        receiver.ahoyWorker.onmessage = heard;
        receiver.ahoyWorker.postMessage('ask');
      });
      if (said.data !== 'sent') throw new Error(said.data);
    },
    async stats() {
      const report = { inbound: [], outbound: [], codecs: [], transport: null };
      for (const one of (await pc.getStats()).values()) {
        if (one.type === 'inbound-rtp') {
          report.inbound.push({
            kind: one.kind, packets: one.packetsReceived, lost: one.packetsLost, repaired: one.retransmittedPacketsReceived ?? 0,
            decoded: one.framesDecoded ?? 0, key_frames: one.keyFramesDecoded ?? 0, requests: one.pliCount ?? 0,
            freezes: one.freezeCount ?? 0, samples: one.totalSamplesReceived ?? 0, made_up: one.concealedSamples ?? 0,
          });
        } else if (one.type === 'outbound-rtp') {
          report.outbound.push({
            kind: one.kind, encoded: one.framesEncoded ?? 0, key_frames: one.keyFramesEncoded ?? 0, requests: one.pliCount ?? 0,
            packets: one.packetsSent, repeated: one.retransmittedPacketsSent ?? 0, nacks: one.nackCount ?? 0,
          });
        } else if (one.type === 'codec') {
          report.codecs.push(`${one.mimeType} ${one.payloadType} ${one.sdpFmtpLine ?? ''}`);
        } else if (one.type === 'transport') {
          report.transport = { dtls: one.dtlsState, role: one.dtlsRole, srtp: one.srtpCipher };
        }
      }
      return report;
    },
    close: () => pc.close(),
  };
}
