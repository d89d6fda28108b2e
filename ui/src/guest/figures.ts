import type { CallStats } from '../backend';

interface Counted {
  at: number;
  received: number;
  lost: number;
  videoBytes: number;
  audioBytes: number;
}

interface Inbound {
  kind?: string;
  bytesReceived?: number;
  packetsReceived?: number;
  packetsLost?: number;
  framesPerSecond?: number;
  frameWidth?: number;
  frameHeight?: number;
  jitter?: number;
  freezeCount?: number;
  totalFreezesDuration?: number;
  concealedSamples?: number;
  totalSamplesReceived?: number;
}

/** The figures of a call, from what the browser counts of one connection. What it can't know is 0. */
export class Figures {
  #before: Counted | undefined;
  #since = 0;

  next(report: RTCStatsReport): CallStats {
    const now = performance.now();
    this.#since ||= now;
    const all: Record<string, unknown>[] = [];
    report.forEach((entry: Record<string, unknown>) => all.push(entry));
    const inbound = all.filter(({ type }) => type === 'inbound-rtp') as Inbound[];
    const [video, audio] = ['video', 'audio'].map(
      (kind) => inbound.find((entry) => entry.kind === kind) ?? {},
    );
    const sum = (count: (entry: Inbound) => number | undefined) =>
      inbound.reduce((total, entry) => total + (count(entry) ?? 0), 0);
    const counted: Counted = {
      at: now,
      received: sum(({ packetsReceived }) => packetsReceived),
      lost: sum(({ packetsLost }) => packetsLost),
      videoBytes: video?.bytesReceived ?? 0,
      audioBytes: audio?.bytesReceived ?? 0,
    };
    const before = this.#before ?? counted;
    this.#before = counted;
    const seconds = Math.max((now - before.at) / 1000, 0.001);
    const kilobits = (bytes: number, bytesBefore: number) => ((bytes - bytesBefore) * 8) / 1000 / seconds;
    const lost = Math.max(0, counted.lost - before.lost);
    const expected = counted.received - before.received + lost;
    const pair = all.find(
      ({ type, nominated, state }) => type === 'candidate-pair' && nominated && state === 'succeeded',
    );
    const fps = video?.framesPerSecond ?? 0;
    return {
      at_ms: now - this.#since,
      video: {
        fps_captured: 0,
        fps_encoded: 0,
        fps_sent: 0,
        fps_received: fps,
        fps_decoded: fps,
        fps_shown: fps,
        bitrate_kbps: kilobits(counted.videoBytes, before.videoBytes),
        width: video?.frameWidth ?? 0,
        height: video?.frameHeight ?? 0,
        latency_ms: null,
        freezes: video?.freezeCount ?? 0,
        freeze_ms: (video?.totalFreezesDuration ?? 0) * 1000,
      },
      audio: {
        bitrate_kbps: kilobits(counted.audioBytes, before.audioBytes),
        delay_ms: null,
        concealed_percent: 0,
        level_in: 0,
        level_out: 0,
      },
      network: {
        loss_percent: expected > 0 ? (lost / expected) * 100 : 0,
        jitter_ms: Math.max(video?.jitter ?? 0, audio?.jitter ?? 0) * 1000,
        round_trip_ms: Number(pair?.currentRoundTripTime ?? 0) * 1000,
      },
      ways: { ways: [], addresses: [] },
      stages_ms: {
        capture_to_encode: 0,
        encode: 0,
        network: 0,
        jitter_buffer: 0,
        decode: 0,
        show: 0,
      },
      cpu_percent: 0,
      memory_mb: 0,
    };
  }
}
