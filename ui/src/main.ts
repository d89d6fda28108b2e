import './styles/fonts.css';
import './styles/tokens.css';
import './styles/base.css';

import { mount } from 'svelte';

import { connectBackend } from './backend/connect';
import Start from './Start.svelte';
import { applyTheme } from './state/theme';

const target = document.getElementById('app');
if (!target) throw new Error('index.html has no #app element');

// Until the settings say otherwise.
applyTheme('system');
mount(Start, { target, props: { connect: connectBackend } });
