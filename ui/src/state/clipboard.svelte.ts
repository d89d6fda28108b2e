/** Puts words onto the clipboard, and knows whether that went. */
export class Clipboard {
  outcome = $state<'idle' | 'done' | 'failed'>('idle');

  async copy(words: string): Promise<void> {
    try {
      await navigator.clipboard.writeText(words);
      this.outcome = 'done';
    } catch {
      this.outcome = 'failed';
    }
  }
}
