/** The thread in which pages are read: gets what was fetched, gives its passages. Strangers' pages cannot stall the server. */

import { createHash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { cutPassages, nearestPassages } from '#core/passages.ts';
import { decodeText } from './charset.ts';
import { cleanText, mainTextOf } from './main-text.ts';
import type { PageJob, PageText } from './page-texts.ts';

/** The most passages of one page that anybody wants. */
const MOST = 12;

// Nothing in here has business with the network, whatever a library may think.
Reflect.deleteProperty(globalThis, 'fetch');
Reflect.deleteProperty(globalThis, 'WebSocket');

parentPort?.on('message', ({ body, charset, isHtml, url, question }: PageJob) => {
  const source = decodeText(body, charset, isHtml);
  const { title, text } = isHtml ? mainTextOf(source, url) : { title: '', text: cleanText(source) };
  const page: PageText = {
    title,
    hash: createHash('sha256').update(text).digest('hex'),
    passages: nearestPassages(cutPassages(text), question, MOST, (passage) => passage),
  };
  parentPort?.postMessage(page);
});
