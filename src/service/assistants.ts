/** The named presets: the two built in, and those of the config file. */

import type { Assistant } from '#core/conversation.ts';

const BUILT_IN: Assistant[] = [
  {
    id: 'default',
    name: 'Assistant',
    description: 'Answers as the model does.',
    instructions: '',
    model: null,
    fallbacks: [],
    webSearch: false,
    tools: [],
  },
  {
    id: 'movies',
    name: 'Movie expert',
    description: 'Recommends, compares and explains films.',
    instructions: [
      'You are a movie expert. Recommend, compare and explain films: their stories, makers, style and history.',
      'Remember what the person told you in this chat about their taste and what they have seen, and use it: never recommend a film they said they have seen or dislike.',
      'For a recommendation give the title, the year and one sentence on why it fits this person.',
      'Do not give an ending away unless you are asked to.',
      'When you do not know a film or are not sure of a fact, say so instead of guessing.',
    ].join('\n'),
    model: null,
    fallbacks: [],
    webSearch: false,
    tools: [],
  },
];

export interface Assistants {
  list(): Assistant[];
  /** The preset of that name; the default one for a name that is no longer configured. */
  get(id: string): Assistant;
}

/** Those of `configured` replace built-in ones of the same name. */
export function createAssistants(configured: readonly Assistant[]): Assistants {
  const all = new Map([...BUILT_IN, ...configured].map((assistant) => [assistant.id, assistant]));
  const fallback = all.get('default') as Assistant;
  return { list: () => [...all.values()], get: (id) => all.get(id) ?? fallback };
}
