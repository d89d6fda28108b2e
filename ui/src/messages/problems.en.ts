import type { ProblemWords } from './problems';

export const problems: ProblemWords = {
  camera_missing: {
    title: 'No camera found',
    text: 'Plug one in, and it is used at once. Without one others still hear you, and you see them.',
  },
  camera_not_connected: {
    title: 'Your camera is not connected',
    text: 'Plug the chosen camera in, or choose another one.',
  },
  camera_busy: {
    title: 'The camera is in use',
    text: (camera) => `Another program is using ${camera}. Close that program, or choose another camera.`,
  },
  camera_denied: {
    title: 'The camera may not be used',
    text: (camera) => `Allow Ahoy to use ${camera} in the system’s privacy settings, then try again.`,
  },
  camera_lost: {
    title: 'The camera was unplugged',
    text: (camera) => `Plug ${camera} in again, and the picture comes back by itself.`,
  },
  camera_stalled: {
    title: 'The camera sends no picture',
    text: (camera) => `Ahoy keeps trying. If nothing comes, unplug ${camera} and plug it in again.`,
  },
  camera_unusable: {
    title: 'The camera does not work',
    text: (camera) => `Unplug ${camera} and plug it in again, or choose another camera.`,
  },
  microphone_missing: {
    title: 'No microphone found',
    text: 'Plug one in, and it is used at once. Without one others see you but don’t hear you.',
  },
  microphone_not_connected: {
    title: 'Your microphone is not connected',
    text: 'Plug the chosen microphone in, or choose another one.',
  },
  microphone_busy: {
    title: 'The microphone is in use',
    text: (microphone) =>
      `Another program keeps ${microphone} for itself. Close that program, or choose another microphone.`,
  },
  microphone_denied: {
    title: 'The microphone may not be used',
    text: (microphone) => `Allow Ahoy to use ${microphone} in the system’s privacy settings, then try again.`,
  },
  microphone_lost: {
    title: 'The microphone was unplugged',
    text: (microphone) =>
      `Plug ${microphone} in again, or choose another microphone. Without one others don’t hear you.`,
  },
  microphone_stalled: {
    title: 'The microphone gives no sound',
    text: (microphone) => `Unplug ${microphone} and plug it in again, or choose another microphone.`,
  },
  microphone_unusable: {
    title: 'The microphone does not work',
    text: (microphone) => `Unplug ${microphone} and plug it in again, or choose another microphone.`,
  },
  speaker_missing: {
    title: 'No speaker found',
    text: 'Plug in headphones or a loudspeaker, or you won’t hear others.',
  },
  speaker_not_connected: {
    title: 'Your speaker is not connected',
    text: 'Plug the chosen speaker in, or choose another one.',
  },
  speaker_busy: {
    title: 'The speaker is in use',
    text: (speaker) =>
      `Another program keeps ${speaker} for itself. Close that program, or choose another speaker.`,
  },
  speaker_denied: {
    title: 'The speaker may not be used',
    text: (speaker) => `Allow Ahoy to use ${speaker} in the system’s sound settings, then try again.`,
  },
  speaker_lost: {
    title: 'The speaker was unplugged',
    text: (speaker) =>
      `Plug ${speaker} in again, or choose another speaker. Without one you don’t hear others.`,
  },
  speaker_stalled: {
    title: 'The speaker plays nothing',
    text: (speaker) => `Unplug ${speaker} and plug it in again, or choose another speaker.`,
  },
  speaker_unusable: {
    title: 'The speaker does not work',
    text: (speaker) => `Unplug ${speaker} and plug it in again, or choose another speaker.`,
  },
  sound_system_missing: {
    title: 'The sound system does not answer',
    text: 'Start PulseAudio or PipeWire, or log in again. Until then nobody hears anything.',
  },
  clip_unusable: {
    title: 'The clip can’t be played',
    text: 'Choose another file, or use a camera.',
  },
  sound_file_unusable: {
    title: 'The sound file can’t be played',
    text: 'Choose another file, or use a microphone.',
  },
  video_ended: {
    title: 'The camera has stopped',
    text: 'Its driver gave up. Try again, or unplug the camera and plug it in again.',
  },
  recording: {
    title: 'The recording is not complete',
    text: 'Check that the disk has room and that you may write there.',
  },
  no_threads: {
    title: 'The computer is too busy',
    text: 'Close some programs and try again.',
  },
  not_connected: {
    title: 'No connection',
    text: 'Ahoy could not reach itself. Check that a firewall does not keep this computer from talking to itself.',
  },
  no_relay: {
    title: 'There is no relay to go through',
    text: 'You hide your address from others, which needs a relay, and your server has none that answers. Turn that off in the settings, or ask whoever runs the server.',
  },
  connection_lost: {
    title: 'The connection was lost',
    text: 'Hang up and call again. If it happens often, look at your network.',
  },
  signaling: {
    title: 'The two ends did not understand each other',
    text: 'Hang up and call again.',
  },
  no_media: {
    title: 'Nothing arrived',
    text: 'The connection was there, but neither picture nor sound came through. A firewall may be in the way.',
  },
  no_pictures: {
    title: 'No picture came',
    text: 'The camera was open but gave nothing. Unplug it and plug it in again, or choose another one.',
  },
  no_sound: {
    title: 'No sound came',
    text: 'The microphone was open but gave nothing. Choose another one.',
  },
  slow_setup: {
    title: 'It took long to connect',
    text: 'The computer was busy. Close some programs and call again.',
  },
  frames_lost: {
    title: 'Pictures got lost',
    text: 'The computer or the network was too slow. Close some programs, or choose a smaller picture.',
  },
  low_frame_rate: {
    title: 'The picture was jerky',
    text: 'Fewer pictures came than asked for. More light helps a camera; a smaller picture helps the computer.',
  },
  freezes: {
    title: 'The picture stood still at times',
    text: 'Close some programs, or choose a smaller picture.',
  },
  poor_picture: {
    title: 'The picture was blurred',
    text: 'There was not enough room for its details. Choose a smaller picture.',
  },
  high_latency: {
    title: 'The picture came late',
    text: 'The computer was busy. Close some programs, or choose a smaller picture.',
  },
  sound_gaps: {
    title: 'The sound had gaps',
    text: 'Some of it came too late or not at all. Close some programs and call again.',
  },
  lip_sync: {
    title: 'Sound and picture were apart',
    text: 'Wireless headphones delay sound: try others, or close some programs.',
  },
  call_failed: {
    title: 'The call could not begin',
    text: 'Close some programs and try again. If that does not help, start Ahoy again.',
  },
  call_running: {
    title: 'A call is running',
    text: 'Hang up first: the call has the camera and the microphone.',
  },
  no_call: {
    title: 'There is no call',
    text: 'It has just ended. Start another one.',
  },
  settings_not_kept: {
    title: 'The settings can’t be kept',
    text: 'Check that the disk has room and that you may write to your settings folder.',
  },
  name_refused: {
    title: 'This name can’t be used',
    text: 'A name has at most 80 characters on one line. Choose a shorter one.',
  },
  handle_refused: {
    title: 'This handle can’t be used',
    text: 'A handle has 2 to 32 small letters, digits, dots, dashes and underscores, such as grace.hopper.',
  },
  password_refused: {
    title: 'This password can’t be used',
    text: 'A password has at least 8 characters. A sentence is a good one.',
  },
  address_refused: {
    title: 'This is no server’s address',
    text: 'An address looks like https://call.example.org. Ask whoever runs the server.',
  },
  server_unreachable: {
    title: 'The server can’t be reached',
    text: 'Check your connection and the server’s address, then try again.',
  },
  server_refused: {
    title: 'The server does not allow this',
    text: 'Try again later, or ask whoever runs the server.',
  },
  wrong_credentials: {
    title: 'Handle or password is wrong',
    text: 'Check both. If the password is lost, a recovery code gets you in.',
  },
  handle_taken: {
    title: 'Somebody else has this handle',
    text: 'Choose another one, or sign in if it is yours.',
  },
  sign_up_closed: {
    title: 'This server takes no new people',
    text: 'Ask whoever runs it for a way in.',
  },
  too_often: {
    title: 'Tried too often',
    text: 'Wait a minute, then try again.',
  },
  nobody_found: {
    title: 'Nobody found',
    text: 'Check the handle: it has to be written exactly as they told you.',
  },
  sign_in_not_kept: {
    title: 'Your sign-in can’t be kept',
    text: 'Ahoy keeps it in the system’s keyring. Unlock the keyring, then try again.',
  },
  not_signed_in: {
    title: 'You are not signed in',
    text: 'Sign in, then try again.',
  },
  history_unusable: {
    title: 'Messages can’t be kept',
    text: 'Ahoy can’t read or write its history on this machine. Check that the disk has room, then start Ahoy again.',
  },
  message_refused: {
    title: 'This message can’t be sent',
    text: 'Write something, and not more than a few pages at once.',
  },
  link_refused: {
    title: 'This is not an invite link',
    text: 'Copy the whole link, from https:// to its very end, and try again.',
  },
  room_full: {
    title: 'The call is full',
    text: 'Wait until somebody leaves, then try again.',
  },
  room_locked: {
    title: 'The call lets nobody in any more',
    text: 'Ask whoever invited you to let people in again.',
  },
  host_unusable: {
    title: 'This computer can’t host a call',
    text: 'Check that the disk has room, and that no other program uses the ports 7447 to 7456.',
  },
  network_unasked: {
    title: 'Others can’t find this call by themselves',
    text: 'Your network can’t be told of it. Give them the link, or let them scan the code.',
  },
  h264_plugin_missing: {
    title: 'A plug-in for video is missing',
    text: 'Calls work, but use more of the processor: the system’s web view lacks H.264, so Ahoy decodes the pictures itself. Install the package gstreamer1.0-libav, then start Ahoy again.',
  },
  transfers_unusable: {
    title: 'Files can’t be sent or taken',
    text: 'What goes on with them can’t be remembered on this computer: another Ahoy may be at it, or the disk is full. Close the other one or make room, then start Ahoy again.',
  },
  no_transfer: {
    title: 'This transfer is not there any more',
    text: 'It has ended or was put away meanwhile.',
  },
  nothing_picked: {
    title: 'Nothing was chosen to send',
    text: 'Choose files or a folder, or drop them on the window.',
  },
  nothing_to_send: {
    title: 'There is nothing in it that can be sent',
    text: 'Links and devices are not sent, and neither is what can’t be read. Check that you may read the files.',
  },
  too_many_files: {
    title: 'That is too much for one transfer',
    text: 'Send the folders one by one, or put them into one archive first.',
  },
  folder_missing: {
    title: 'There is no folder to use',
    text: 'Choose one for files from others in the settings, under General.',
  },
  invite_invalid: {
    title: 'This invitation is not good any more',
    text: 'It has run out, was used up or was taken back. Ask for a new link.',
  },
  camera_denied_by_browser: {
    title: 'The camera may not be used',
    text: 'Allow it at the address bar of your browser, then try again.',
  },
  microphone_denied_by_browser: {
    title: 'The microphone may not be used',
    text: 'Allow it at the address bar of your browser, then try again.',
  },
  browser_without_h264: {
    title: 'No pictures in this browser',
    text: 'It lacks H.264, so you hear each other only. Another browser shows pictures too.',
  },
  no_shell: {
    title: 'This needs the desktop program',
    text: 'You are looking at Ahoy’s window in a browser. Start the program with: cargo xtask run --window',
  },
  no_answer: {
    title: 'Ahoy does not answer',
    text: 'The program behind this window has stopped. Close the window and start Ahoy again.',
  },
};
