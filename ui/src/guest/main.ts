import '../styles/fonts.css';
import '../styles/tokens.css';
import '../styles/base.css';

import { mount } from 'svelte';

import { applyTheme } from '../state/theme';
import { readInvite } from './backend';
import Guest from './Guest.svelte';

const target = document.getElementById('app');
if (!target) throw new Error('guest.html has no #app element');

applyTheme('system');
const invite = readInvite(location);
// Another link to the same room changes nothing but the fragment, for which browsers don't load a page again.
window.addEventListener('hashchange', () => location.reload());
mount(Guest, { target, props: { invite } });
