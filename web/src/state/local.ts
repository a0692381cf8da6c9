/** What this browser keeps for itself. A browser that keeps nothing, or is full, works all the same. */

export function remember(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`parlance.${key}`);
    else localStorage.setItem(`parlance.${key}`, value);
  } catch {
    // Private windows and full ones: it lasts as long as the page then.
  }
}

export function recall(key: string): string | null {
  try {
    return localStorage.getItem(`parlance.${key}`);
  } catch {
    return null;
  }
}

const MAX_DRAFTS = 50;

/** What somebody has begun to write in a conversation; the oldest are forgotten. */
export function keepDraft(chat: string, text: string): void {
  const drafts = readDrafts().filter(([id]) => id !== chat);
  if (text.trim() !== '') drafts.push([chat, text]);
  remember('drafts', drafts.length === 0 ? null : JSON.stringify(drafts.slice(-MAX_DRAFTS)));
}

export function draftOf(chat: string): string {
  return readDrafts().find(([id]) => id === chat)?.[1] ?? '';
}

function readDrafts(): [chat: string, text: string][] {
  try {
    const drafts: unknown = JSON.parse(recall('drafts') ?? '[]');
    return Array.isArray(drafts) ? drafts.filter((draft) => Array.isArray(draft) && draft.length === 2) : [];
  } catch {
    return [];
  }
}
