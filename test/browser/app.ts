/** What tests do in the web app, by what a person sees and hears of it. */

import type { Locator, Page } from 'playwright-core';

/** Writes a message and sends it. */
export async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel('Your message').fill(text);
  await page.keyboard.press('Enter');
}

/** The answers on the screen, in order. */
export function answers(page: Page): Locator {
  return page.getByRole('article').filter({ has: page.getByRole('heading', { name: 'The answer:' }) });
}

/** Waits until nothing is being written. */
export async function settled(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Send' }).waitFor();
}

/** A conversation in the list. */
export function listed(page: Page, title: string): Locator {
  return page.getByRole('navigation', { name: 'Conversations' }).getByRole('link', { name: title, exact: true });
}

/** Opens what can be done with a conversation. */
export async function choose(page: Page, title: string, action: string): Promise<void> {
  await page.getByRole('button', { name: `Options for “${title}”` }).click({ force: true });
  await page.getByRole('menuitem', { name: action }).click();
}

export const field = (page: Page): Locator => page.getByRole('textbox', { name: 'Your message' });

/** All conversations in the list. */
export const links = (page: Page): Locator => page.getByRole('navigation', { name: 'Conversations' }).getByRole('link');

export const questions = (page: Page): Locator =>
  page.getByRole('article').filter({ has: page.getByRole('heading', { name: 'You said:' }) });

/** Resolves when the newest answer shows this text. */
export function shows(page: Page, text: string): Promise<void> {
  return answers(page).last().filter({ hasText: text }).waitFor();
}
