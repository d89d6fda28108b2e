import type { CallStats, Cause, SendingStats } from '../backend';

interface Counted {
  at: number;
  received: number;
  lost: number;
  videoBytes: number;
  audioBytes: number;
  sentBytes: number;
  sentVideoBytes: number;
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

interface Outbound {
  kind?: string;
  bytesSent?: number;
  headerBytesSent?: number;
  framesPerSecond?: number;
  frameWidth?: number;
  frameHeight?: number;
  /** Whether the other side wants any. */
  active?: boolean;
  /** What is sent has a source; a camera that is off has none. */
  mediaSourceId?: string;
  qualityLimitationReason?: string;
}

const CAUSES: Record<string, Cause> = { none: 'full', bandwidth: 'network', cpu: 'processor' };

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
    const outbound = all.filter(({ type }) => type === 'outbound-rtp') as Outbound[];
    const picture = outbound.find(({ kind }) => kind === 'video') ?? {};
    const counted: Counted = {
      at: now,
      received: sum(inbound, ({ packetsReceived }) => packetsReceived),
      lost: sum(inbound, ({ packetsLost }) => packetsLost),
      videoBytes: video?.bytesReceived ?? 0,
      audioBytes: audio?.bytesReceived ?? 0,
      sentBytes:
        sum(outbound, ({ bytesSent }) => bytesSent) + sum(outbound, ({ headerBytesSent }) => headerBytesSent),
      sentVideoBytes: picture.bytesSent ?? 0,
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
    const reports = all.filter(({ type }) => type === 'remote-inbound-rtp') as { fractionLost?: number }[];
    const sending = (way: Record<string, unknown>): SendingStats => {
      const sent = kilobits(counted.sentBytes, before.sentBytes);
      const lost = Math.max(0, ...reports.map(({ fractionLost }) => fractionLost ?? 0));
      const { frameWidth: width = 0, frameHeight: height = 0, framesPerSecond: fps = 0 } = picture;
      const bitrate_kbps = kilobits(counted.sentVideoBytes, before.sentVideoBytes);
      return {
        target_kbps: Number(way.availableOutgoingBitrate ?? 0) / 1000,
        sent_kbps: sent,
        acknowledged_kbps: sent * (1 - lost),
        queue_ms: 0,
        loss_percent: lost * 100,
        round_trip_ms: Number(way.currentRoundTripTime ?? 0) * 1000,
        reason: 'balance',
        picture: fps > 0 ? { width, height, fps, bitrate_kbps } : null,
        limited_by: limit(picture),
      };
    };
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
      sending: pair ? sending(pair) : null,
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

/** What keeps one's own pictures from being better. */
function limit({ mediaSourceId, active = true, qualityLimitationReason = '' }: Outbound): Cause | null {
  if (!mediaSourceId) return null;
  return active ? (CAUSES[qualityLimitationReason] ?? null) : 'viewer';
}

function sum<Entry>(entries: Entry[], count: (entry: Entry) => number | undefined): number {
  return entries.reduce((total, entry) => total + (count(entry) ?? 0), 0);
}
