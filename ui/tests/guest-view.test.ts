// @vitest-environment node
import { beforeEach, describe, expect, it, vi } from 'vitest';

import type { Participant } from '../src/backend/protocol';
import { Call } from '../src/guest/call';
import type { Control } from '../src/guest/control';
import { downscale } from '../src/guest/fit';
import type { Tracks } from '../src/guest/leg';
import { NOWHERE, type Area } from '../src/video/area';

/** A browser's connection that is what a test says. */
class Connection {
  static all: Connection[] = [];
  connectionState: RTCPeerConnectionState = 'new';
  onconnectionstatechange = () => {};
  readonly said: Control[] = [];
  readonly channel = {
    label: 'ahoy-control',
    readyState: 'open',
    send: (text: string) => this.said.push(JSON.parse(text) as Control),
    onmessage: (_: { data: string }) => {},
  };
  encodings: RTCRtpEncodingParameters[] = [{ active: true }];
  readonly sender = {
    track: null as unknown,
    replaceTrack: async (track: unknown) => void (this.sender.track = track),
    getParameters: () => structuredClone({ encodings: this.encodings }),
    setParameters: async ({ encodings }: { encodings: RTCRtpEncodingParameters[] }) =>
      void (this.encodings = encodings),
  };

  constructor() {
    Connection.all.push(this);
  }

  addTransceiver() {}
  createDataChannel = () => this.channel;
  getTransceivers = () => [{ sender: this.sender, receiver: { track: { kind: 'video' } } }];
  close() {}

  become(state: RTCPeerConnectionState) {
    this.connectionState = state;
    this.onconnectionstatechange();
  }

  hear(message: object) {
    this.channel.onmessage({ data: JSON.stringify(message) });
  }

  get views() {
    return this.said.filter(({ type }) => type === 'view').map((said) => 'view' in said && said.view);
  }
}

vi.stubGlobal('RTCPeerConnection', Connection);
vi.stubGlobal('MediaStream', class {});
vi.stubGlobal('RTCRtpReceiver', { getCapabilities: () => ({ codecs: [{ mimeType: 'video/H264' }] }) });

const small: Area = { width: 640, height: 368 };
const large: Area = { width: 1280, height: 720 };

/** Two others in a room, the first of whom is shown. */
function inRoom() {
  let area: Area | undefined;
  const call: Call = new Call({
    onSignal: () => undefined,
    onChanged: () => area && call.show('p_b', area),
  });
  const others = ['p_b', 'p_c'].map((id) => ({ id, user: `u_${id}`, name: id }) as Participant);
  call.see('p_a', others);
  const show = (now: Area) => {
    area = now;
    call.show('p_b', now);
  };
  const [shown, other] = Connection.all;
  return { call, show, shown: shown!, other: other! };
}

beforeEach(() => {
  Connection.all = [];
});

describe('the others in a room', () => {
  it('are told in which size they are shown, once, and those who are not that they are not', () => {
    const { show, shown, other } = inRoom();
    show(small);
    expect([shown.views, other.views]).toEqual([[], []]);
    for (const connection of [shown, other]) connection.become('connected');
    show(small);
    expect([shown.views, other.views]).toEqual([[small], [null]]);
    for (const area of [NOWHERE, NOWHERE, large]) show(area);
    expect([shown.views, other.views]).toEqual([[small, null, large], [null]]);
  });

  it('are told again where their connection has come back', () => {
    const { show, shown } = inRoom();
    show(small);
    shown.become('connected');
    shown.become('disconnected');
    show(large);
    expect(shown.views).toEqual([small]);
    shown.become('connected');
    expect(shown.views).toEqual([small, large]);
  });
});

describe('a guest’s pictures', () => {
  const camera = (width: number, height: number) =>
    ({ kind: 'video', getSettings: () => ({ width, height }) }) as unknown as MediaStreamTrack;

  async function sending(tracks: Tracks) {
    const { call, shown } = inRoom();
    shown.become('connected');
    await call.send(tracks, { microphone: false, camera: true });
    const views = (view: Area | null) => shown.hear({ type: 'view', view });
    return { call, shown, views };
  }

  it('are sent no larger than they are shown', async () => {
    const { call, shown, views } = await sending({ audio: null, video: camera(1280, 720) });
    expect(shown.encodings).toEqual([{ active: true }]);
    views(small);
    await vi.waitFor(() => expect(shown.encodings).toEqual([{ active: true, scaleResolutionDownBy: 2 }]));
    await call.send({ audio: null, video: camera(640, 360) }, { microphone: false, camera: true });
    expect(shown.encodings).toEqual([{ active: true, scaleResolutionDownBy: 1 }]);
  });

  it('are not sent while they are not seen', async () => {
    const { shown, views } = await sending({ audio: null, video: camera(1280, 720) });
    views(null);
    await vi.waitFor(() => expect(shown.encodings[0]?.active).toBe(false));
    views(large);
    await vi.waitFor(() => expect(shown.encodings).toEqual([{ active: true, scaleResolutionDownBy: 1 }]));
  });

  it.each([
    [1280, 720, 1280, 720, 1],
    [1280, 720, 1920, 1088, 1],
    [1280, 720, 1216, 688, 1],
    [1280, 720, 960, 544, 4 / 3],
    [1280, 720, 640, 1200, 2],
    [1280, 720, 2000, 368, 2],
    [1280, 720, 16, 16, 16 / 3],
    // A browser that does not tell what its camera gives.
    [undefined, undefined, 640, 368, 1],
  ])('of %s × %s, fitted into %s × %s, are divided by %s', (width, height, across, down, by) => {
    expect(downscale({ width, height }, { width: across, height: down })).toBe(by);
  });
});
