/** Short notices that go away by themselves. */

import { createStore } from './store.ts';

export interface Toast {
  id: number;
  message: string;
  tone: 'plain' | 'error';
  action: { label: string; do(): void } | null;
}

const SHORT_MS = 6_000;
let count = 0;
export const toasts = createStore<Toast[]>([]);

export function say(toast: {
  message: string;
  tone?: Toast['tone'];
  action?: { label: string; do(): void };
  forMs?: number;
}): void {
  const id = ++count;
  const { message, tone = 'plain', action = null, forMs = SHORT_MS } = toast;
  toasts.set((now) => [...now.slice(-2), { id, message, tone, action }]);
  setTimeout(() => dismiss(id), forMs);
}

export function dismiss(id: number): void {
  toasts.set((now) => now.filter((toast) => toast.id !== id));
}
