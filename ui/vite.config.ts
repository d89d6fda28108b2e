import { readFileSync } from 'node:fs';

import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import { defineConfig } from 'vitest/config';

function cargoVersion(): string {
  const manifest = readFileSync(new URL('../Cargo.toml', import.meta.url), 'utf8');
  const version = /^\[workspace\.package\]\nversion = "([^"]+)"/m.exec(manifest)?.[1];
  if (!version) throw new Error('Cargo.toml has no version first in [workspace.package]');
  return version;
}

/** The page for guests is built apart: a server gives it out, and neither carries what only the other needs. */
const guest = {
  outDir: 'dist-guest',
  rollupOptions: { input: 'guest.html' },
};

export default defineConfig(({ mode }) => ({
  base: mode === 'guest' ? '/guest/' : '/',
  plugins: [svelte(), svelteTesting()],
  define: { __AHOY_VERSION__: JSON.stringify(cargoVersion()) },
  clearScreen: false,
  // Tauri looks for the development server at this address (tauri.conf.json).
  server: { host: '127.0.0.1', port: 1420, strictPort: true },
  build: {
    // The oldest web views Ahoy supports: WebView2, WKWebView of macOS 13, WebKitGTK of Debian 12.
    target: ['chrome111', 'safari16.4'],
    // The content security policy forbids `data:` addresses, so every file stays a file.
    assetsInlineLimit: 0,
    ...(mode === 'guest' ? guest : {}),
  },
  test: {
    environment: 'jsdom',
    include: ['src/**/*.test.ts', 'tests/**/*.test.ts'],
    setupFiles: ['tests/layout.ts'],
    // A test reads the colours from their style sheet; Vitest would give it an empty one.
    css: true,
    // Nothing takes long; a machine that does other things meanwhile is not a failure.
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
}));
