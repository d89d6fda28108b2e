import './styles/fonts.css';
import './styles/tokens.css';
import './styles/base.css';

import { mount } from 'svelte';

import App from './App.svelte';
import { connectBackend } from './backend';
import { chooseMessages } from './messages';
import { applyTheme } from './state/theme';

const target = document.getElementById('app');
if (!target) throw new Error('index.html has no #app element');

const { language, messages } = chooseMessages(navigator.languages);
document.documentElement.lang = language;

applyTheme('system');

mount(App, { target, props: { backend: await connectBackend(), messages } });
