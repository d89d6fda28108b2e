import type { CallStats } from '../backend';

export type Quality = 'good' | 'fair' | 'poor';

/** Whose pictures are looked at: one's own, which have gone round, or somebody else's. */
export type Whose = 'own' | 'theirs';

/** What moves smoothly. How many pictures somebody else's camera takes is not known here. */
const SMOOTH = 24;

/** Whether one's own pictures are held back for now, since the connection does not carry them. */
export function carriesSoundOnly({ sending }: CallStats): boolean {
  return sending !== null && sending.picture === null && sending.limited_by === 'network';
}

/** How good the call is for the person in it, from its newest numbers. */
export function quality(stats: CallStats, cameraOn: boolean, whose: Whose = 'own'): Quality {
  const { video, audio, network } = stats;
  const expected = whose === 'own' ? video.fps_captured : SMOOTH;
  // A picture that is not taken can't be late or missing.
  const shown = cameraOn && expected > 0 ? video.fps_shown / expected : 1;
  const late = Math.max((cameraOn ? video.latency_ms : null) ?? 0, audio.delay_ms ?? 0);
  if (carriesSoundOnly(stats)) return 'poor';
  // ITU-T G.114: up to 150 ms nobody notices, above 400 ms people talk into each other's sentences.
  if (network.loss_percent > 8 || audio.concealed_percent > 8 || shown < 0.6 || late > 400) return 'poor';
  if (network.loss_percent > 2 || audio.concealed_percent > 2 || shown < 0.85 || late > 200) return 'fair';
  return 'good';
}
