import { invoke, isTauri } from '@tauri-apps/api/core';
import { listen } from '@tauri-apps/api/event';

import { VideoPlayer } from '../video/player';
import type { Stream } from '../video/protocol';
import type { Backend, ShowListener } from '.';
import type {
  Access,
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
  RecentCall,
  SentFiles,
  Settings,
  SettingsChange,
  TransferView,
} from './bindings';
import { Events } from './events';

export const inDesktopShell = isTauri;

/** The Rust shell, reached through Tauri's commands and its one event. */
class TauriBackend implements Backend {
  readonly #events = new Events();
  readonly #listening = listen<DeskEvent>('desk', ({ payload }) =>
    this.#events.emit(payload.type, 'data' in payload ? payload.data : undefined),
  );

  on = this.#events.on;
  appInfo = () => this.#ask<AppInfo>('app_info');
  settings = () => this.#ask<Settings>('settings');
  changeSettings = (change: SettingsChange) => this.#ask<Settings>('change_settings', { change });
  devices = () => this.#ask<Devices>('devices');
  startPreview = () => this.#ask<void>('start_preview');
  stopPreview = () => this.#ask<void>('stop_preview');
  retryDevices = () => this.#ask<void>('retry_devices');
  testSpeaker = (ringer: boolean) => this.#ask<void>('test_speaker', { ringer });
  startTestCall = () => this.#ask<void>('start_test_call');
  hangUp = () => this.#ask<CallSummary | null>('hang_up');
  setMuted = (muted: boolean) => this.#ask<void>('set_muted', { muted });
  setCameraOn = (on: boolean) => this.#ask<void>('set_camera_on', { on });
  show = (stream: Stream, host: HTMLElement, told: ShowListener) => {
    const player = new VideoPlayer(host, {
      access: () => this.#ask<Access>('media_access'),
      stream,
      ...told,
    });
    return () => player.close();
  };
  readonly numbers = true;
  people = () => this.#ask<PeopleSnapshot>('people');
  calls = () => this.#ask<CallsView>('calls');
  resumeSignIn = () => this.#ask<void>('resume_sign_in');
  signIn = (given: Credentials) => this.#ask<void>('sign_in', { given });
  signUp = (given: Credentials) => this.#ask<string[]>('sign_up', { given });
  signOut = () => this.#ask<void>('sign_out');
  reconnect = () => this.#ask<void>('reconnect');
  addContact = (handle: string) => this.#ask<void>('add_contact', { handle });
  removeContact = (handle: string) => this.#ask<void>('remove_contact', { handle });
  blockContact = (handle: string) => this.#ask<void>('block_contact', { handle });
  call = (handle: string, video: boolean) => this.#ask<void>('call', { handle, video });
  startLinkCall = (video: boolean) => this.#ask<void>('start_link_call', { video });
  openLink = (link: string) => this.#ask<void>('open_link', { link });
  takeInvitation = () => this.#ask<Invitation | null>('take_invitation');
  joinLink = (link: string, name: string, video: boolean) =>
    this.#ask<void>('join_link', { link, name, video });
  startHostedCall = (name: string, video: boolean) => this.#ask<void>('start_hosted_call', { name, video });
  answerLobby = (participant: string, admit: boolean) =>
    this.#ask<void>('answer_lobby', { participant, admit });
  lookNearby = () => this.#ask<void>('look_nearby');
  stopLookingNearby = () => this.#ask<void>('stop_looking_nearby');
  announce = (notice: Notice) => this.#ask<void>('announce', { notice });
  accept = (call: string, video: boolean) => this.#ask<void>('accept', { call, video });
  decline = (call: string) => this.#ask<void>('decline', { call });
  setHeld = (held: boolean) => this.#ask<void>('set_held', { held });
  conversations = () => this.#ask<Conversation[]>('conversations');
  messages = (user: string, before: string | null) =>
    this.#ask<Message[]>('messages', { with: user, before });
  writeMessage = (user: string, text: string) => this.#ask<void>('write_message', { with: user, text });
  sendAgain = (message: string) => this.#ask<void>('send_again', { message });
  messagesSeen = (user: string) => this.#ask<void>('messages_seen', { with: user });
  recentCalls = () => this.#ask<RecentCall[]>('recent_calls');
  recentCallsSeen = () => this.#ask<void>('recent_calls_seen');
  checkConnection = (server: string | null) => this.#ask<DoctorReport | null>('check_connection', { server });
  stopConnectionCheck = () => this.#ask<void>('stop_connection_check');
  pickFiles = (folders: boolean) => this.#ask<void>('pick_files', { folders });
  forgetPicked = () => this.#ask<void>('forget_picked');
  sendPicked = (user: string) => this.#ask<SentFiles>('send_picked', { user });
  transfers = () => this.#ask<TransferView[]>('transfers');
  transferFiles = (id: string) => this.#ask<FileView[]>('transfer_files', { id });
  acceptFiles = (id: string, files: number[] | null, elsewhere: boolean) =>
    this.#ask<boolean>('accept_files', { id, files, elsewhere });
  declineFiles = (id: string) => this.#ask<void>('decline_files', { id });
  setTransferPaused = (id: string, file: number | null, paused: boolean) =>
    this.#ask<void>('set_transfer_paused', { id, file, paused });
  cancelTransfer = (id: string, file: number | null) => this.#ask<void>('cancel_transfer', { id, file });
  dismissTransfer = (id: string) => this.#ask<void>('dismiss_transfer', { id });
  showTransfer = (id: string) => this.#ask<void>('show_transfer', { id });
  chooseFilesFolder = () => this.#ask<Settings>('choose_files_folder');

  /** Not before events are heard: those that a command sets off must not be missed. */
  async #ask<Answer>(command: string, given?: Record<string, unknown>): Promise<Answer> {
    await this.#listening;
    return invoke<Answer>(command, given);
  }
}

export const tauriBackend = (): Backend => new TauriBackend();
