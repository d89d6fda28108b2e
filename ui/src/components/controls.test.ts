import { render, screen } from '@testing-library/svelte';
import axe from 'axe-core';
import { createRawSnippet } from 'svelte';
import { describe, expect, it, vi } from 'vitest';

import Button from './Button.svelte';
import CallControl from './CallControl.svelte';
import Meter from './Meter.svelte';
import Notice from './Notice.svelte';
import Select from './Select.svelte';
import SideNav from './SideNav.svelte';
import Sparkline from './Sparkline.svelte';
import StageBar from './StageBar.svelte';
import Switch from './Switch.svelte';
import TextField from './TextField.svelte';

const words = (text: string) => createRawSnippet(() => ({ render: () => `<span>${text}</span>` }));

function press(target: Element, key: string) {
  target.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
}

describe('a button', () => {
  it('takes no press while its action is under way, and keeps the focus', () => {
    const onclick = vi.fn();
    render(Button, { children: words('Call'), busy: true, onclick });
    const button = screen.getByRole('button', { name: 'Call' });
    button.focus();
    button.click();
    expect(onclick).not.toHaveBeenCalled();
    expect(document.activeElement).toBe(button);
    expect(button.getAttribute('aria-busy')).toBe('true');
  });

  it('has a name though it shows only an icon', () => {
    render(Button, { children: words('Settings'), icon: 'settings', iconOnly: true });
    expect(screen.getByRole('button', { name: 'Settings' })).toBeTruthy();
  });
});

describe('a call control', () => {
  it('tells its key to the eye and to assistive technology', () => {
    render(CallControl, { label: 'Mute', icon: 'microphone', shortcut: 'M', onclick: vi.fn() });
    const button = screen.getByRole('button', { name: 'Mute' });
    expect(button.getAttribute('aria-keyshortcuts')).toBe('M');
    expect(screen.getByText('M').tagName).toBe('KBD');
  });
});

describe('the side navigation', () => {
  const pages = [
    { id: 'audio', label: 'Audio', icon: 'microphone' },
    { id: 'video', label: 'Video', icon: 'camera' },
  ] as const;

  it('moves with the arrow keys, around the end', () => {
    const onchange = vi.fn();
    render(SideNav, { label: 'Settings', pages, current: 'video', onchange });
    press(screen.getByRole('tab', { name: 'Video' }), 'ArrowDown');
    expect(onchange).toHaveBeenLastCalledWith('audio');
    expect(document.activeElement).toBe(screen.getByRole('tab', { name: 'Audio' }));
    press(screen.getByRole('tab', { name: 'Video' }), 'ArrowUp');
    expect(onchange).toHaveBeenLastCalledWith('audio');
  });

  it('is one stop for the Tab key', () => {
    render(SideNav, { label: 'Settings', pages, current: 'video', onchange: vi.fn() });
    expect(screen.getAllByRole('tab').map((tab) => tab.tabIndex)).toEqual([-1, 0]);
  });
});

describe('the level meter', () => {
  it('lights more lamps for a louder sound, and none for silence', async () => {
    const { container, rerender } = render(Meter, { label: 'Level', level: 0 });
    const lit = () => container.querySelectorAll('.lit').length;
    expect(lit()).toBe(0);
    await rerender({ level: 0.05 });
    const quiet = lit();
    expect(quiet).toBeGreaterThan(0);
    await rerender({ level: 1 });
    expect(lit()).toBe(20);
    expect(quiet).toBeLessThan(20);
  });
});

describe('a small graph', () => {
  it('leaves a gap where nothing was measured', () => {
    const { container } = render(Sparkline, {
      label: 'Delay',
      reading: '80 ms',
      values: [80, 90, null, 70, 80],
      span: 5,
      top: 100,
    });
    expect(container.querySelector('.line')?.getAttribute('d')?.match(/M/g)).toHaveLength(2);
  });

  it('stays inside of its frame when a value is above the scale', () => {
    const { container } = render(Sparkline, {
      label: 'Delay',
      reading: '',
      values: [10, 400],
      span: 2,
      top: 100,
    });
    const heights = [
      ...container
        .querySelector('.line')!
        .getAttribute('d')!
        .matchAll(/ ([\d.-]+)/g),
    ];
    expect(heights.map(([, y]) => Number(y)).every((y) => y >= 0 && y <= 32)).toBe(true);
  });
});

describe('the stages of a picture', () => {
  it('mark where pictures are lost, and only there', () => {
    const stage = (name: string, fps: number) => ({ name, fps, reading: `${fps}`, since: null });
    const { container } = render(StageBar, {
      label: 'Stages',
      stages: [stage('Captured', 30), stage('Sent', 29.5), stage('Received', 12), stage('Shown', 12)],
    });
    expect([...container.querySelectorAll('li')].map((item) => item.classList.contains('losing'))).toEqual([
      false,
      false,
      true,
      false,
    ]);
  });
});

it('no control has an accessibility violation, in any of its states', async () => {
  document.documentElement.lang = 'en';
  document.title = 'Ahoy';
  const choices = [{ value: '', label: 'System' }];
  render(Button, { children: words('Go'), kind: 'primary' });
  render(Button, { children: words('Wait'), busy: true });
  render(Button, { children: words('No'), disabled: true });
  render(CallControl, { label: 'Numbers', icon: 'numbers', expanded: true, onclick: vi.fn() });
  render(Select, { label: 'Camera', choices, value: '', onchange: vi.fn() });
  render(Select, { label: 'Speaker', choices, value: '', error: 'It is gone.', onchange: vi.fn() });
  render(Switch, { label: 'Mirror', hint: 'Only for you.', checked: true, onchange: vi.fn() });
  render(TextField, { label: 'Name', value: '', error: 'Too long.' });
  render(Meter, { label: 'Level', level: 0.4, clipped: true, clippedText: 'Too loud' });
  render(Notice, { kind: 'danger', title: 'No camera', onclose: vi.fn(), closeLabel: 'Close' });
  render(Sparkline, { label: 'Delay', reading: '80 ms', values: [80], span: 5, top: 100 });
  const { violations } = await axe.run(document, {
    rules: {
      'color-contrast': { enabled: false },
      region: { enabled: false },
      'page-has-heading-one': { enabled: false },
    },
  });
  expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
});
