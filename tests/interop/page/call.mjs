// What pages that call themselves or others have in common.

/** Candidates do not go with descriptions, which would name the real addresses. */
export const bare = ({ type, sdp }) => ({ type, sdp: sdp.replace(/^a=(candidate|end-of-candidates).*\r\n/gm, '') });

/**
 * Has `caller` offer and `callee` answer; both live in this page. For each candidate `rewrite` is asked for the line to be used
 * in its place, or null to leave it out.
 */
export async function connect(caller, callee, call, rewrite) {
  const carry = (from, name, other) => {
    const early = [];
    from.onicecandidate = async ({ candidate }) => {
      if (!candidate?.candidate) return;
      const line = await rewrite({ call, from: name, line: candidate.candidate });
      if (line === null) return;
      const init = { ...candidate.toJSON(), candidate: line };
      if (other.remoteDescription) await other.addIceCandidate(init);
      else early.push(init);
    };
    return () => Promise.all(early.splice(0).map((init) => other.addIceCandidate(init)));
  };
  const toCallee = carry(caller, 'a', callee);
  const toCaller = carry(callee, 'b', caller);
  await caller.setLocalDescription();
  await callee.setRemoteDescription(bare(caller.localDescription));
  await toCallee();
  await callee.setLocalDescription();
  await caller.setRemoteDescription(bare(callee.localDescription));
  await toCaller();
}

/** Shows or plays a track, which takes an element of the page. */
export function play(track, muted) {
  const element = document.createElement(track.kind);
  [element.autoplay, element.muted] = [true, muted];
  element.srcObject = new MediaStream([track]);
  document.body.append(element);
  return element;
}

/** Sends nothing but H.264 constrained baseline, which is what Ahoy sends. */
export function onlyH264(transceiver) {
  const wanted = ({ mimeType, sdpFmtpLine = '' }) =>
    mimeType === 'video/rtx' ||
    (mimeType === 'video/H264' && /42e01f/.test(sdpFmtpLine) && /packetization-mode=1/.test(sdpFmtpLine));
  transceiver.setCodecPreferences(RTCRtpSender.getCapabilities('video').codecs.filter(wanted));
}
