import '@fontsource-variable/noto-sans-sc';

import '../../src/styles/fonts.css';
import '../../src/styles/tokens.css';
import '../../src/styles/base.css';
import './fonts.css';

import { mount } from 'svelte';

import type { Access, PersonCall } from '../../src/backend';
import Start from '../../src/Start.svelte';
import { picked, ScriptedBackend, stats } from '../scripted-backend';
import { paintPerson } from './person';
import { scenes, type SceneName } from './scenes';

declare global {
  interface Window {
    mediaAccess: () => Promise<Access>;
    paintPerson: typeof paintPerson;
  }
}

window.paintPerson = paintPerson;

const asked = new URLSearchParams(location.search);
const scene = scenes[asked.get('scene') as SceneName];
if (scene) {
  const language = asked.get('language') === 'zh' ? 'zh' : 'en';
  const backend = new ScriptedBackend({
    ...scene.script,
    settings: { ...scene.script?.settings, language },
    access: () => window.mediaAccess(),
  });
  mount(Start, {
    target: document.getElementById('app')!,
    props: { connect: () => Promise.resolve(backend) },
  });
  const say = () => {
    if (scene.level !== undefined) backend.emit('level', { level: scene.level, clipped: false });
  };
  setInterval(say, 50);
  // How far a call with somebody is.
  document.addEventListener('person', (event) => {
    backend.emit('calls', { current: (event as CustomEvent<PersonCall>).detail, ringing: [] });
  });
  document.addEventListener('picked', () => backend.emit('files_picked', picked));
  document.addEventListener('dragged', () => backend.emit('files_dragged', true));
  // The graphs of a call that has lasted for a while.
  document.addEventListener('numbers', () => {
    for (let at = 0; at < 110; at++) backend.emit('stats', (scene.stats ?? stats)(at));
  });
}
