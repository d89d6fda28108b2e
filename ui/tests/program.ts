import { render, screen } from '@testing-library/svelte';

import Start from '../src/Start.svelte';
import { ScriptedBackend, type Script } from './scripted-backend';

/** The program from its start, once it shows something. */
export async function open(script: Script = {}) {
  const backend = new ScriptedBackend(script);
  render(Start, { connect: () => Promise.resolve(backend) });
  await screen.findByRole('heading', { level: 1 });
  return backend;
}

export const press = (name: string) => screen.getByRole('button', { name }).click();
