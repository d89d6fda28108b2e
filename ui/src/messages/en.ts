export const en = {
  welcome: {
    early: 'Early version',
    heading: 'Ahoy! Video calls are coming.',
    introduction:
      'Ahoy is a video-calling app for your desktop. This version can call itself, to prove that everything from the camera to the speaker works. Calling other people comes next.',
  },
  today: {
    heading: 'Works today',
    title: 'A test call from the terminal',
    explanation:
      'Ahoy calls itself through a real, encrypted connection and reports what it saw and heard: picture quality, sound, delay and lost frames.',
    commandLabel: 'Run this in the folder with Ahoy’s source code',
  },
  next: {
    heading: 'Coming next',
    steps: [
      { title: 'The test call in this window', text: 'See and hear it, and choose camera and microphone.' },
      { title: 'Calls with other people', text: 'From the desktop, and with anyone in a browser.' },
      { title: 'Calls from anywhere', text: 'Through home routers, firewalls and poor networks.' },
      { title: 'Files', text: 'Sent straight to the other person, without disturbing the call.' },
    ],
  },
  copy: {
    action: 'Copy',
    done: 'Copied',
    failed: 'Copying is not allowed here. Select the command and press Ctrl+C.',
  },
  about: {
    label: 'About this program',
    loading: 'Looking up the version…',
    version: (version: string) => `Version ${version}`,
    webview: (version: string) => `Web view ${version}`,
    unknownWebview:
      'The version of the system’s web view is unknown. If something looks wrong, install it again.',
    unknown: 'Ahoy did not answer. Close this window and start it again.',
  },
};

export type Messages = typeof en;
