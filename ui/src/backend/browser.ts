import type { Backend } from '.';

/** A plain browser without the shell, as `npm run dev` opens it. */
export const browserBackend: Backend = {
  appInfo: () =>
    Promise.resolve({
      version: __AHOY_VERSION__,
      system: 'browser',
      architecture: '',
      webview: navigator.userAgent,
    }),
};
