/**
 * A small internet on 127.0.0.1, for tests: pages that are what the test says, and a SearXNG that finds what it is told to.
 *
 *     const web = await startWeb();
 *     web.pages['/lang'] = page('Fritz Lang', 'He made Metropolis.');
 *     web.finds({ title: 'Lang', url: web.at('/lang'), content: 'A director.' });
 *     … SEARXNG_URL=web.url, PARLANCE_WEB_ALLOW=web.host, PARLANCE_WEB_PAGES=4 …
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A page: HTML, or whatever the test writes. */
export type Page = string | ((request: IncomingMessage, response: ServerResponse) => void);

export interface Found {
  title: string;
  url: string;
  content: string;
}

export interface Web {
  url: string;
  /** `127.0.0.1:<port>` */
  host: string;
  /** The address of a path. */
  at(path: string): string;
  /** By their paths. What is not here is 404, `robots.txt` too. */
  pages: Record<string, Page>;
  /** What was searched for, in order. */
  queries: string[];
  /** The paths that were asked for, searches aside, in order. */
  asked: string[];
  /** What every search finds from now on; a function is asked with the query. */
  finds(...results: Found[] | [(query: string) => Found[]]): void;
  /** Every search is answered with this status from now on. */
  fails(status: number): void;
  /** How often a connection was made. */
  connections(): number;
  close(): void;
}

export async function startWeb(): Promise<Web> {
  let find: (query: string) => Found[] = () => [];
  let status = 200;
  let connections = 0;
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://web');
    if (pathname === '/search') {
      const query = searchParams.get('q') ?? '';
      web.queries.push(query);
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ query, results: find(query) }));
      return;
    }
    web.asked.push(request.url ?? '');
    const there = Object.hasOwn(web.pages, pathname) ? web.pages[pathname] : undefined;
    if (typeof there === 'function') there(request, response);
    else if (there === undefined) response.writeHead(404).end();
    else response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(there);
  });
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const web: Web = {
    url: `http://${host}`,
    host,
    at: (path) => `http://${host}${path}`,
    pages: {},
    queries: [],
    asked: [],
    finds(...results) {
      const [first] = results;
      status = 200;
      find = typeof first === 'function' ? first : () => results as Found[];
    },
    fails(given) {
      status = given;
    },
    connections: () => connections,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
  return web;
}

/** An article as sites write it, with what surrounds it. */
export function page(title: string, ...paragraphs: string[]): string {
  return `<!doctype html><html><head><title>${title}</title></head><body>
    <nav><a href="/">Home</a> <a href="/about">About this site</a></nav>
    <main><article><h1>${title}</h1>${paragraphs.map((text) => `<p>${text}</p>`).join('\n')}</article></main>
    <footer>All rights reserved by the site.</footer></body></html>`;
}
