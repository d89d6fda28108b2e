import type { Theme } from '../backend';

const DARK = '(prefers-color-scheme: dark)';

/** Gives the document the theme that is chosen, and follows the desktop where it is the system's. */
export function applyTheme(theme: Theme): () => void {
  const desktop = matchMedia(DARK);
  const apply = () => {
    const dark = theme === 'dark' || (theme === 'system' && desktop.matches);
    document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  };
  apply();
  desktop.addEventListener('change', apply);
  return () => desktop.removeEventListener('change', apply);
}
