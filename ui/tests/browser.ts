import { mkdtempSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { chromium, type Browser } from 'playwright-core';
import { createServer, defaultClientConditions, type ViteDevServer } from 'vite';

const PROGRAM = process.env.AHOY_CHROMIUM ?? '/usr/bin/chromium';

/** Vite's server for the pages below `tests/`, and a real browser to open them in. */
export interface Stage {
  browser: Browser;
  /** Ends with a slash. */
  url: string;
  stop(): Promise<void>;
}

export async function openStage(): Promise<Stage> {
  // Files of tests run side by side, and two servers can't write to one cache.
  const cacheDir = mkdtempSync(fileURLToPath(new URL('../node_modules/.vite-stage-', import.meta.url)));
  const server: ViteDevServer = await createServer({
    root: fileURLToPath(new URL('..', import.meta.url)),
    configFile: fileURLToPath(new URL('../vite.config.ts', import.meta.url)),
    cacheDir,
    logLevel: 'error',
    // Within Vitest a server would give pages what Svelte has for servers.
    resolve: { conditions: [...defaultClientConditions] },
    // A page must not reload itself under a test.
    optimizeDeps: { noDiscovery: true },
    server: { port: 0, strictPort: false, hmr: false, watch: null },
  });
  await server.listen();
  const browser = await chromium.launch({
    executablePath: PROGRAM,
    args: [
      '--no-sandbox',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-quic',
      '--force-color-profile=srgb',
      // WebGL without a graphics processor.
      '--use-angle=swiftshader',
      '--enable-unsafe-swiftshader',
    ],
  });
  return {
    browser,
    url: server.resolvedUrls!.local[0]!,
    async stop() {
      await browser.close();
      await server.close();
      rmSync(cacheDir, { recursive: true, force: true });
    },
  };
}
