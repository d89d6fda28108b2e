// Paints each view and writes the pictures that docs/design.md shows. Needs Chromium and ffmpeg.
import { runnerImport } from 'vite';

const { module } = await runnerImport(new URL('screenshots.ts', import.meta.url).pathname);
await module.takeScreenshots(process.argv.slice(2));
