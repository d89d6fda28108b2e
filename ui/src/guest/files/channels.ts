/** What is said first (docs/file-transfer.md). */
const GREETING = '{"type":"hello"}';
const SAID_STREAM = 1000;
const DATA_STREAM = 1001;
/** When it is told that fewer bytes wait for the network. */
const LOW = 256 * 1024;

export interface ChannelsListener {
  /** The other side is known to hear. */
  onOpen: () => void;
  onClosed: () => void;
  onSaid: (text: string) => void;
  onChunk: (bytes: ArrayBuffer) => void;
  /** So many bytes wait for the network. */
  onWaiting: (bytes: number) => void;
}

/** The two channels of a connection for files: both sides open them alike, so that nobody has to wait for the other. */
export class FileChannels {
  readonly #said: RTCDataChannel;
  readonly #data: RTCDataChannel;
  readonly #listener: ChannelsListener;
  #open = false;

  constructor(connection: RTCPeerConnection, listener: ChannelsListener) {
    this.#listener = listener;
    this.#said = connection.createDataChannel('files', { negotiated: true, id: SAID_STREAM });
    this.#data = connection.createDataChannel('file-data', {
      negotiated: true,
      id: DATA_STREAM,
      ordered: false,
    });
    this.#data.binaryType = 'arraybuffer';
    this.#data.bufferedAmountLowThreshold = LOW;
    this.#said.onopen = this.#data.onopen = () => this.#greet();
    this.#said.onclose = this.#data.onclose = () => this.#close();
    this.#said.onmessage = ({ data }: MessageEvent<unknown>) => typeof data === 'string' && this.#hear(data);
    this.#data.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (this.#open && data instanceof ArrayBuffer) listener.onChunk(data);
    };
    this.#data.onbufferedamountlow = () => listener.onWaiting(this.#data.bufferedAmount);
  }

  say(text: string) {
    if (this.#said.readyState === 'open') this.#said.send(text);
  }

  send(bytes: ArrayBuffer) {
    if (this.#data.readyState === 'open') this.#data.send(bytes);
    this.#listener.onWaiting(this.#data.bufferedAmount);
  }

  #greet() {
    if (this.#said.readyState === 'open' && this.#data.readyState === 'open') this.#said.send(GREETING);
  }

  #hear(text: string) {
    if (text !== GREETING) return this.#open ? this.#listener.onSaid(text) : undefined;
    // One that is closed is for good.
    if (this.#open || this.#said.readyState !== 'open' || this.#data.readyState !== 'open') return;
    this.#open = true;
    // The first one may have been lost.
    this.#greet();
    this.#listener.onOpen();
  }

  #close() {
    if (!this.#open) return;
    this.#open = false;
    this.#listener.onClosed();
  }
}
