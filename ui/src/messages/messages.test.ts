import { describe, expect, it } from 'vitest';

import { conclusion, findings, troubled } from '../../tests/scripted-check';
import type { ConclusionCode } from '../backend';
import { CHECKS } from '../state/check.svelte';
import { chooseMessages } from '.';
import { concluded } from './connection';
import { en } from './en';
import { Numbers } from './numbers';
import { wording } from './problems';
import { zh } from './zh';
import generated from '../backend/bindings.ts?raw';

/** The paths of all texts, with functions called so that their texts count too. */
function texts(value: unknown, path = ''): Map<string, string> {
  if (typeof value === 'string') return new Map([[path, value]]);
  if (typeof value === 'function') return new Map([[path, String(value('1.2.3'))]]);
  return new Map(
    Object.entries(value as object).flatMap(([key, part]) => [...texts(part, `${path}/${key}`)]),
  );
}

describe('messages', () => {
  it('are chosen by the first language that Ahoy speaks', () => {
    expect(chooseMessages(['fr-FR', 'zh-CN', 'en-GB']).messages).toBe(zh);
    expect(chooseMessages(['EN_us', 'zh']).messages).toBe(en);
  });

  it('are English for everybody else', () => {
    expect(chooseMessages(['fr']).language).toBe('en');
    expect(chooseMessages([]).language).toBe('en');
  });

  it('mark the document as simplified Chinese, so that the right glyphs are drawn', () => {
    expect(chooseMessages(['zh-TW']).language).toBe('zh-Hans');
  });

  it('say the same things in every language', () => {
    expect([...texts(zh).keys()]).toEqual([...texts(en).keys()]);
  });

  it('leave nothing untranslated and nothing empty', () => {
    const english = texts(en);
    for (const [path, text] of texts(zh)) {
      expect(text.trim(), path).not.toBe('');
      expect(text, path).not.toBe(english.get(path));
    }
  });
});

describe('problems', () => {
  const [, union = ''] = /export type ProblemCode = ([^;]+);/.exec(generated) ?? [];
  const codes = [...union.matchAll(/"(\w+)"/g)].map(([, code]) => code as keyof typeof en.problems);

  it.each(Object.entries({ en, zh }))('all have words in %s', (_, messages) => {
    expect(codes.length).toBeGreaterThan(40);
    for (const code of codes) {
      const { title, text } = wording(messages, { code, message: 'For a terminal.', device: null });
      expect(title, code).toBeTruthy();
      expect(text, code).toMatch(/[.。]$/);
      expect(text, code).not.toContain('undefined');
    }
  });

  it('name the device that they are about', () => {
    const problem = { code: 'camera_busy', message: '' } as const;
    expect(wording(en, { ...problem, device: 'Cam Link' }).text).toContain('is using Cam Link.');
    expect(wording(en, { ...problem, device: null }).text).toContain('is using the camera.');
    expect(wording(zh, { ...problem, device: null }).text).toContain('使用摄像头。');
  });
});

describe('the numbers of what is sent', () => {
  it.each([
    ['Reason', 'reasons'],
    ['Cause', 'causes'],
  ] as const)('have words for every %s', (type, group) => {
    const [, union = ''] = new RegExp(`export type ${type} = ([^;]+);`).exec(generated) ?? [];
    const codes = [...union.matchAll(/"(\w+)"/g)].map(([, code]) => code!);
    expect(codes.length).toBeGreaterThan(4);
    for (const { stats } of [en, zh]) {
      const words: Record<string, string> = stats.sending[group];
      expect(Object.keys(words)).toEqual(codes);
      // One line of the panel, beside the label.
      for (const code of codes) expect(words[code]!.length, code).toBeLessThanOrEqual(26);
    }
  });
});

describe('conclusions about the connection', () => {
  const [, union = ''] = /export type ConclusionCode = ([^;]+);/.exec(generated) ?? [];
  const codes = [...union.matchAll(/"(\w+)"/g)].map(([, code]) => code as ConclusionCode);
  const numbers = new Numbers('en', en.units);
  const words = (code: ConclusionCode, found = findings) =>
    concluded(conclusion(code, 'note'), found, en, numbers).text;

  it.each(Object.entries({ en, zh }))('all have words in %s', (language, messages) => {
    expect(codes.length).toBeGreaterThan(25);
    expect(Object.keys(messages.connection.checks)).toEqual(CHECKS);
    for (const code of codes) {
      const { title, text } = concluded(
        conclusion(code, 'note'),
        findings,
        messages,
        new Numbers(language, messages.units),
      );
      expect(title, code).toMatch(/[^.。]$/);
      expect(text, code).toMatch(/[.。]$/);
      expect(text, code).not.toMatch(/undefined|null/);
    }
  });

  it('name what they are about', () => {
    expect(words('server_down')).toContain('at call.example.org,');
    expect(words('name_unknown')).toContain('the name call.example.org.');
    expect(words('proxy_refuses', { ...findings, proxy: 'http://proxy:3128' })).toContain(
      'http://proxy:3128.',
    );
    expect(words('relay_lossy', troubled.findings)).toMatch(/^19% /);
    expect(words('relay_slow', troubled.findings)).toContain('takes 89 ms,');
    expect(words('clock_wrong', troubled.findings)).toMatch(/^It is 2 hours behind,/);
  });
});
