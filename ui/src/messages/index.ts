import { en, type Messages } from './en';
import { zh } from './zh';

export type { Messages } from './en';

export interface ChosenMessages {
  /** A BCP 47 tag for the document's `lang`. */
  language: string;
  messages: Messages;
}

const spoken: Record<string, ChosenMessages> = {
  en: { language: 'en', messages: en },
  zh: { language: 'zh-Hans', messages: zh },
};

/** The first of the person's languages that Ahoy speaks, otherwise English. */
export function chooseMessages(languages: readonly string[]): ChosenMessages {
  for (const tag of languages) {
    const chosen = spoken[tag.toLowerCase().split(/[-_]/)[0] ?? ''];
    if (chosen) return chosen;
  }
  return { language: 'en', messages: en };
}
