import { render, screen } from '@testing-library/svelte';
import axe from 'axe-core';
import { afterEach, describe, expect, it, vi } from 'vitest';

import type { AppInfo, Backend } from '../backend';
import { en } from '../messages/en';
import { zh } from '../messages/zh';
import Welcome from './Welcome.svelte';

const info: AppInfo = { version: '7.8.9', system: 'linux', architecture: 'x86_64', webview: '2.50.6' };

function answering(appInfo: Backend['appInfo']): Backend {
  return { appInfo } as Backend;
}

function show(backend: Backend, messages = en) {
  return render(Welcome, { backend, messages });
}

/** jsdom has no clipboard at all, so each test says which one the web view has. */
function clipboard(writeText: (text: string) => Promise<void>) {
  vi.stubGlobal('navigator', { clipboard: { writeText } });
}

afterEach(() => vi.unstubAllGlobals());

describe('the welcome view', () => {
  it('says that calls with other people do not work yet', () => {
    show(answering(() => Promise.resolve(info)));
    expect(screen.getByRole('heading', { level: 1 }).textContent).toBe(en.welcome.heading);
    expect(screen.getByText(en.welcome.introduction)).toBeTruthy();
  });

  it('shows the version that the backend tells, not one of its own', async () => {
    show(answering(() => Promise.resolve(info)));
    expect(await screen.findByText('Version 7.8.9')).toBeTruthy();
    expect(screen.getByText('Linux x86_64')).toBeTruthy();
    expect(screen.getByText('Web view 2.50.6')).toBeTruthy();
  });

  it('chooses its words for a failed command by the code, not by the message', async () => {
    const error = { code: 'webview_version_unknown', message: 'a text for logs' };
    show(answering(() => Promise.reject(error)));
    expect((await screen.findByRole('alert')).textContent).toBe(en.about.unknownWebview);
  });

  it('says what to do when the backend does not answer at all', async () => {
    show(answering(() => Promise.reject(new TypeError('no channel'))));
    expect((await screen.findByRole('alert')).textContent).toBe(en.about.unknown);
  });

  it('copies the command that it shows', async () => {
    const copied: string[] = [];
    clipboard((text) => Promise.resolve(void copied.push(text)));
    const { container } = show(answering(() => Promise.resolve(info)));
    screen.getByRole('button', { name: en.copy.action }).click();
    expect(await screen.findByText(en.copy.done)).toBeTruthy();
    expect(copied).toEqual([container.querySelector('code')?.textContent?.trim()]);
  });

  it('tells how to copy by hand where the web view refuses the clipboard', async () => {
    clipboard(() => Promise.reject(new DOMException('refused', 'NotAllowedError')));
    show(answering(() => Promise.resolve(info)));
    screen.getByRole('button', { name: en.copy.action }).click();
    expect(await screen.findByText(en.copy.failed)).toBeTruthy();
  });

  for (const [language, messages] of Object.entries({ en, zh })) {
    it(`has no accessibility violation in ${language}`, async () => {
      document.documentElement.lang = language;
      document.title = 'Ahoy';
      show(
        answering(() => Promise.resolve(info)),
        messages,
      );
      await screen.findByText(messages.about.version('7.8.9'));
      // jsdom does not lay out or paint, so the window's own test checks the contrast.
      const { violations } = await axe.run(document, { rules: { 'color-contrast': { enabled: false } } });
      expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
    });
  }
});
