import type { Stream } from '../video/protocol';
import type {
  AppInfo,
  CallSummary,
  CallsView,
  Conversation,
  Credentials,
  DeskEvent,
  Devices,
  DoctorReport,
  FileView,
  Invitation,
  Message,
  Notice,
  PeopleSnapshot,
  Problem,
  ProblemCode,
  RecentCall,
  SentFiles,
  Settings,
  SettingsChange,
  TransferView,
} from './bindings';

export type * from './bindings';

/** What the program tells, by name. */
export type DeskEvents = {
  [Kind in DeskEvent['type']]: Kind extends 'failed'
    ? AnyProblem
    : Extract<DeskEvent, { type: Kind }> extends { data: infer Data }
      ? Data
      : undefined;
};

/** What the window finds out by itself, beside what the program tells. */
export type WindowProblemCode =
  | 'h264_plugin_missing'
  | 'no_shell'
  | 'no_answer'
  | 'camera_denied_by_browser'
  | 'microphone_denied_by_browser'
  | 'browser_without_h264';

/** A problem of the program or of the window. */
export type AnyProblem = Omit<Problem, 'code'> & { code: ProblemCode | WindowProblemCode };

/** Who is told about a stream that is shown. */
export interface ShowListener {
  /** Whether there is something to see; called when it changes. */
  onPlaying: (playing: boolean) => void;
  /** The web view can't decode H.264, so the program does. */
  onFallback: () => void;
}

/** Everything the window can ask of the program behind it. Commands reject with `AnyProblem`. */
export interface Backend {
  appInfo(): Promise<AppInfo>;
  settings(): Promise<Settings>;
  /** Changes the fields that are given and tells the settings as they are now; preview and call follow. */
  changeSettings(change: SettingsChange): Promise<Settings>;
  devices(): Promise<Devices>;
  /** Opens camera and microphone without a call: pictures on the stream `local`, events `preview` and `level`. */
  startPreview(): Promise<void>;
  stopPreview(): Promise<void>;
  /** Tries again to open what could not be opened. */
  retryDevices(): Promise<void>;
  /** Plays a sound of two seconds, at the speaker or where calls ring, and resolves when it has ended. */
  testSpeaker(ringer: boolean): Promise<void>;
  /** Events `call` and `stats` tell of it, and `ended` once it is over. */
  startTestCall(): Promise<void>;
  /** Ends the call and tells what it was worth, or `null` when there was none. */
  hangUp(): Promise<CallSummary | null>;
  setMuted(muted: boolean): Promise<void>;
  setCameraOn(on: boolean): Promise<void>;
  /** Shows a stream inside of an element until the returned function is called. */
  show(stream: Stream, host: HTMLElement, told: ShowListener): () => void;
  /** Whether `stats` have everything that a panel of live numbers shows. */
  readonly numbers: boolean;
  /** Who is signed in and whom they know; event `people` when that changes. */
  people(): Promise<PeopleSnapshot>;
  /** Calls with people; event `calls` when they change. */
  calls(): Promise<CallsView>;
  /** Takes up the sign-in of the last time, if there is one. */
  resumeSignIn(): Promise<void>;
  signIn(given: Credentials): Promise<void>;
  /** Makes an account with the name of the settings; tells the recovery codes, once. */
  signUp(given: Credentials): Promise<string[]>;
  signOut(): Promise<void>;
  /** Tries to reach the server now. */
  reconnect(): Promise<void>;
  addContact(handle: string): Promise<void>;
  removeContact(handle: string): Promise<void>;
  blockContact(handle: string): Promise<void>;
  call(handle: string, video: boolean): Promise<void>;
  /** Makes a call that others join by a link, which `calls` then has. */
  startLinkCall(video: boolean): Promise<void>;
  /** Looks at an invite link; event `invited` follows where it is one. */
  openLink(link: string): Promise<void>;
  /** The link that was opened last, once; null where none was. */
  takeInvitation(): Promise<Invitation | null>;
  /** Joins somebody else's call by its link, under this name. */
  joinLink(link: string, name: string, video: boolean): Promise<void>;
  /** Makes a call with this computer as the server, under this name; `calls` has its link. */
  startHostedCall(name: string, video: boolean): Promise<void>;
  /** Lets somebody in who waits, or turns them away. */
  answerLobby(participant: string, admit: boolean): Promise<void>;
  /** Looks for calls on the network; event `nearby` tells which are there. */
  lookNearby(): Promise<void>;
  stopLookingNearby(): Promise<void>;
  /** Has the system show that somebody calls or sends files, until that waits for no answer any more. */
  announce(notice: Notice): Promise<void>;
  accept(call: string, video: boolean): Promise<void>;
  decline(call: string): Promise<void>;
  setHeld(held: boolean): Promise<void>;
  /** Everybody one has written with, the latest first; event `messages_changed` when that changes. People are named by id. */
  conversations(): Promise<Conversation[]>;
  /** The newest messages with somebody, oldest first: 50, before one of them if that is given. */
  messages(user: string, before: string | null): Promise<Message[]>;
  /** It is sent as soon as that goes. */
  writeMessage(user: string, text: string): Promise<void>;
  /** Tries again what was refused. */
  sendAgain(message: string): Promise<void>;
  /** The person has seen all that somebody has written. */
  messagesSeen(user: string): Promise<void>;
  /** The latest calls, the newest first; event `recent_calls_changed` when that changes. */
  recentCalls(): Promise<RecentCall[]>;
  /** The person knows of all missed calls. */
  recentCallsSeen(): Promise<void>;
  /**
   * Examines what keeps calls from connecting; events `connection_check` tell how far that is. `null` when it was called off,
   * or another one was begun. Without a server it is the one where somebody is signed in.
   */
  checkConnection(server: string | null): Promise<DoctorReport | null>;
  stopConnectionCheck(): Promise<void>;
  /** Asks for files to send, or folders; event `files_picked` follows where some are chosen, or dropped on the window. */
  pickFiles(folders: boolean): Promise<void>;
  forgetPicked(): Promise<void>;
  /** Offers what was picked to a contact, who is named by id. */
  sendPicked(user: string): Promise<SentFiles>;
  /** All transfers of files; event `transfer` when one is new, or another than before. */
  transfers(): Promise<TransferView[]>;
  transferFiles(id: string): Promise<FileView[]>;
  /** Takes what is offered, all of it with `null`; first asks into which folder where that is wanted. Tells whether it did. */
  acceptFiles(id: string, files: number[] | null, elsewhere: boolean): Promise<boolean>;
  declineFiles(id: string): Promise<void>;
  /** Of one file, or all of them with `null`. */
  setTransferPaused(id: string, file: number | null, paused: boolean): Promise<void>;
  cancelTransfer(id: string, file: number | null): Promise<void>;
  dismissTransfer(id: string): Promise<void>;
  /** Opens the folder that files were taken to. */
  showTransfer(id: string): Promise<void>;
  /** Asks into which folder files go, for the settings. */
  chooseFilesFolder(): Promise<Settings>;
  /** Calls `handle` for each event until the returned function is called. */
  on<Kind extends keyof DeskEvents>(kind: Kind, handle: (data: DeskEvents[Kind]) => void): () => void;
}

/** A problem of the window's own. */
export function problem(code: AnyProblem['code'], message = ''): AnyProblem {
  return { code, message, device: null };
}

/** What a command rejected with: a problem, or a fault of the way to the program. */
export function toProblem(error: unknown): AnyProblem {
  const isProblem = typeof error === 'object' && error !== null && 'code' in error && 'message' in error;
  return isProblem ? (error as AnyProblem) : problem('no_answer', String(error));
}
