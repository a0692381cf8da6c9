/** Reading a page: redirects, sizes, kinds, encodings, time, and `robots.txt`, over real sockets. */

import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, afterEach, before, describe, test } from 'node:test';
import { brotliCompressSync, constants, deflateSync, gzipSync } from 'node:zlib';
import { createPageReader } from '../../../src/adapters/web-page/page-reader.ts';
import { createPageTexts } from '../../../src/adapters/web-page/page-texts.ts';
import type { PageReader, WebPage } from '../../../src/ports/web-page.ts';
import { page, startWeb, type Web } from '../../support/web.ts';

const never = new AbortController().signal;
let web: Web;
let reader: PageReader;

before(async () => {
  web = await startWeb();
  reader = createPageReader({ allow: [web.host], robots: true });
});
afterEach(() => {
  web.pages = {};
  web.asked = [];
});
after(async () => {
  web.close();
  await reader.close();
});

/** The page at `/`, which is answered by `answer`. */
function readFrom(answer: (response: ServerResponse) => void, question = ''): Promise<WebPage> {
  web.pages['/'] = (_, response) => answer(response);
  return reader.read(web.at('/'), question, never);
}

function readBytes(body: Uint8Array | string, headers: Record<string, string>): Promise<WebPage> {
  return readFrom((response) => response.writeHead(200, headers).end(body));
}

const HTML = { 'content-type': 'text/html; charset=utf-8' };

test('gives the main text without what surrounds it, its title, and its hash', async () => {
  const body = page('Metropolis', 'A film of 1927 by Fritz Lang.', 'It was shown in Berlin.');
  const read = await readBytes(body, HTML);
  assert.equal(read.url, web.at('/'));
  assert.equal(read.title, 'Metropolis');
  assert.equal(read.passages.length, 1);
  assert.match(read.passages[0] ?? '', /A film of 1927 by Fritz Lang\.\nIt was shown in Berlin\.$/);
  assert.doesNotMatch(read.passages.join(), /Home|All rights/);
  assert.match(read.hash, /^[0-9a-f]{64}$/);
  assert.equal((await readBytes(body, HTML)).hash, read.hash);
  assert.notEqual((await readBytes(body.replace('1927', '1928'), HTML)).hash, read.hash);
});

test('gives the passages nearest to the question first, and no more than twelve', async () => {
  const filler = Array.from(
    { length: 60 },
    (_, i) => `Paragraph ${i} is about weather and nothing else. ${'Rain fell. '.repeat(50)}`,
  );
  const read = await readFrom(
    (response) => response.writeHead(200, HTML).end(page('Long', ...filler, 'Fritz Lang was born in Vienna.')),
    'Where was Fritz Lang born?',
  );
  assert.match(read.passages[0] ?? '', /born in Vienna/);
  assert.equal(read.passages.length, 12);
  for (const passage of read.passages) assert.ok(passage.length <= 1000);
});

describe('redirects', () => {
  test('are followed, five of them', async () => {
    for (let i = 0; i < 5; i++)
      web.pages[`/${i}`] = (_, response) => response.writeHead(302, { location: `/${i + 1}` }).end();
    web.pages['/5'] = page('There', 'You have arrived.');
    const read = await reader.read(web.at('/0#part'), '', never);
    assert.deepEqual([read.url, read.title], [web.at('/5'), 'There']);
    web.pages['/5'] = (_, response) => response.writeHead(302, { location: '/6' }).end();
    web.pages['/6'] = page('Too far', 'Never read.');
    await assert.rejects(reader.read(web.at('/0'), '', never), /leads on more than 5 times/);
    assert.ok(!web.asked.includes('/6'));
  });
  test('to nothing, and without a place, are refused', async () => {
    await assert.rejects(
      readFrom((response) => response.writeHead(302, { location: 'http://' }).end()),
      /leads on to an address/,
    );
    await assert.rejects(
      readFrom((response) => response.writeHead(304).end()),
      /status 304/,
    );
  });
});

describe('a body', () => {
  for (const [name, pack] of [
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
    ['deflate', deflateSync],
    ['GZIP', gzipSync],
    ['identity', (body: string) => body],
  ] as const) {
    test(`packed by ${name} is read`, async () => {
      const read = await readBytes(pack(page('Packed', 'Small.')), { ...HTML, 'content-encoding': name });
      assert.equal(read.title, 'Packed');
    });
  }
  test('packed in a way that is not known, or damaged, is refused', async () => {
    await assert.rejects(readBytes('x', { ...HTML, 'content-encoding': 'zip' }), /packed in a way that is not known/);
    await assert.rejects(readBytes('no gzip', { ...HTML, 'content-encoding': 'gzip' }), /cannot be unpacked/);
  });
  test('of 1 GiB packed by gzip is unpacked no further than 2 MiB', async () => {
    const start = gzipSync(page('Bomb', 'Read up to here.').replace('</body></html>', '<p>'));
    // Packed parts in a row are unpacked as one.
    const part = gzipSync(Buffer.alloc(64 * 1024 * 1024, 'word '));
    const bomb = Buffer.concat([start, ...Array.from({ length: 16 }, () => part)]);
    const memory = process.memoryUsage().rss;
    assert.equal((await readBytes(bomb, { ...HTML, 'content-encoding': 'gzip' })).title, 'Bomb');
    const grown = (process.memoryUsage().rss - memory) / 1024 / 1024;
    assert.ok(grown < 512, `${grown} MiB more`);
  });
  test('of 64 MiB packed by br is read as far as 2 MiB', async () => {
    const start = Buffer.from(page('Bomb', 'Read up to here.').replace('</body></html>', '<p>'));
    const whole = Buffer.concat([start, Buffer.alloc(64 * 1024 * 1024, 'word ')]);
    const bomb = brotliCompressSync(whole, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } });
    assert.equal((await readBytes(bomb, { ...HTML, 'content-encoding': 'br' })).title, 'Bomb');
  });
  test('that never ends is read up to 2 MiB', async () => {
    let sent = 0;
    const read = await readFrom((response) => {
      response.writeHead(200, HTML).write(page('Endless', 'On and on.').replace('</body></html>', ''));
      const more = () => {
        while (!response.destroyed && response.write('<p>and on</p>'.repeat(1000))) sent += 13_000;
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    });
    assert.equal(read.title, 'Endless');
    assert.ok(sent < 20 * 1024 * 1024, `${sent} bytes were taken`);
  });
  test('that is cut off is read as far as it came', async () => {
    const packed = gzipSync(page('Cut', ...Array.from({ length: 500 }, (_, i) => `Paragraph ${i * 7919}.`)));
    const read = await readBytes(packed.subarray(0, packed.length - 200), { ...HTML, 'content-encoding': 'gzip' });
    assert.equal(read.title, 'Cut');
  });
});

describe('a kind', () => {
  for (const type of [
    'text/html',
    'TEXT/HTML;charset=UTF-8',
    'application/xhtml+xml',
    'text/plain',
    'text/markdown',
    'application/json',
    'text/xml',
  ]) {
    test(`${type} is read`, async () => {
      assert.match((await readBytes('Some words to read.', { 'content-type': type })).passages[0] ?? '', /Some words/);
    });
  }
  for (const type of [
    'image/png',
    'application/pdf',
    'application/octet-stream',
    'video/mp4',
    'text/javascript',
    'text/css',
    'nonsense',
  ]) {
    test(`${type} is refused before its body`, async () => {
      let left = false;
      const answered = readFrom((response) => {
        response.once('close', () => {
          left = true;
        });
        response.writeHead(200, { 'content-type': type }).write('x');
      });
      await assert.rejects(answered, /is no text/);
      while (!left) await new Promise(setImmediate);
    });
  }
  test('that is not said is refused', async () => {
    await assert.rejects(readBytes('x', {}), /does not say what it is/);
  });
});

describe('an encoding', () => {
  const word = 'Größe';
  const latin = Buffer.from(`<title>${word}</title><p>${word}</p>`, 'latin1');
  const cases: [what: string, body: Uint8Array, type: string][] = [
    ['of the header', latin, 'text/html; charset=iso-8859-1'],
    ['of the header, in quotes', latin, 'text/html; a=b; charset="ISO-8859-1"'],
    ['of the page', Buffer.concat([Buffer.from('<meta charset=latin1>'), latin]), 'text/html'],
    [
      'of the page, as it was written once',
      Buffer.concat([Buffer.from('<meta http-equiv="Content-Type" content="text/html; charset=windows-1252">'), latin]),
      'text/html',
    ],
    ['nobody says, and that is not UTF-8', latin, 'text/html'],
    [
      'nobody knows, and that is UTF-8',
      Buffer.from(`<p>${word}</p><title>${word}</title>`),
      'text/html; charset=nonsense',
    ],
    [
      'of a byte order mark, whatever the header says',
      Buffer.from(`\ufeff<title>${word}</title><p>${word}</p>`, 'utf16le'),
      'text/html; charset=utf-8',
    ],
  ];
  for (const [what, body, type] of cases) {
    test(what, async () => {
      const read = await readBytes(body, { 'content-type': type });
      assert.deepEqual([read.title, read.passages], [word, [word]]);
    });
  }
});

describe('time', () => {
  const silences: [what: string, answer: (response: ServerResponse) => void][] = [
    ['no head', () => undefined],
    ['a head and no body', (response) => response.writeHead(200, HTML).flushHeaders()],
    ['half a body', (response) => response.writeHead(200, HTML).write('<p>Half')],
  ];
  for (const [what, answer] of silences) {
    test(`is over for a page that gives ${what}`, async () => {
      const hasty = createPageReader({ allow: [web.host], robots: false, timeoutMs: 200 });
      web.pages['/'] = (_, response) => answer(response);
      await assert.rejects(hasty.read(web.at('/'), '', never), /within 0\.2 seconds/);
      await hasty.close();
    });
  }
  test('is over for a page that gives a byte now and then', async () => {
    const hasty = createPageReader({ allow: [web.host], robots: false, timeoutMs: 300 });
    web.pages['/'] = (_, response) => {
      response.writeHead(200, HTML);
      const timer = setInterval(() => response.write('x'), 50);
      response.once('close', () => clearInterval(timer));
    };
    await assert.rejects(hasty.read(web.at('/'), '', never), /within 0\.3 seconds/);
    await hasty.close();
  });
  test('is the caller’s to end', async () => {
    const stop = new AbortController();
    web.pages['/'] = () => stop.abort();
    await assert.rejects(reader.read(web.at('/'), '', stop.signal), /given up/);
  });
  test('that a page takes to be read stalls nobody else', async () => {
    let worst = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      worst = Math.max(worst, performance.now() - last);
      last = performance.now();
    }, 1);
    await readBytes(
      page('Heavy', ...Array.from({ length: 800 }, (_, i) => `Word ${i} <b>bold</b> and <i>more</i> words.`)),
      HTML,
    );
    clearInterval(timer);
    assert.ok(worst < 150, `the event loop stood still for ${worst} ms`);
  });
  test('that a page takes to be read is bounded, and the next one is read', async () => {
    const texts = createPageTexts();
    const job = (body: string) => ({ body: Buffer.from(body), charset: '', isHtml: true, url: web.url, question: '' });
    // What never ends is looked for from every one of them.
    const [slow, next] = await Promise.all(
      ['<script '.repeat(250_000), page('Next', 'Fine.')].map((body) => texts.read(job(body), never)),
    );
    assert.equal(slow, null);
    assert.equal(next?.title, 'Next');
    await texts.close();
  });
});

describe('what is not there', () => {
  test('is said', async () => {
    await assert.rejects(reader.read(web.at('/nowhere'), '', never), /status 404/);
    await assert.rejects(
      readFrom((response) => response.writeHead(500).end()),
      /status 500/,
    );
    await assert.rejects(readBytes('<p> </p>', HTML), /has no text/);
    await assert.rejects(
      readFrom((response) => response.destroy()),
      /cannot be reached/,
    );
    const closed = createPageReader({ allow: ['127.0.0.1:9'], robots: false });
    await assert.rejects(closed.read('http://127.0.0.1:9/', '', never), /refused/);
  });
});

describe('robots.txt', () => {
  const rules = (text: string, status = 200) => {
    web.pages['/robots.txt'] = (_, response) => response.writeHead(status, { 'content-type': 'text/plain' }).end(text);
    web.pages['/open'] = page('Open', 'Welcome.');
    web.pages['/closed'] = page('Closed', 'Private.');
    return createPageReader({ allow: [web.host], robots: true });
  };
  test('is asked once, and obeyed', async () => {
    const polite = rules('User-agent: *\nDisallow: /closed');
    assert.equal((await polite.read(web.at('/open'), '', never)).title, 'Open');
    await assert.rejects(polite.read(web.at('/closed'), '', never), /robots\.txt/);
    assert.deepEqual(web.asked, ['/robots.txt', '/open']);
    await polite.close();
  });
  test('is obeyed where a redirect leads to', async () => {
    const polite = rules('User-agent: Parlance\nDisallow: /closed');
    web.pages['/on'] = (_, response) => response.writeHead(302, { location: '/closed' }).end();
    await assert.rejects(polite.read(web.at('/on'), '', never), /robots\.txt/);
    assert.ok(!web.asked.includes('/closed'));
    await polite.close();
  });
  test('that a server fails to give forbids everything, and one that is not there nothing', async () => {
    const broken = rules('', 503);
    await assert.rejects(broken.read(web.at('/open'), '', never), /robots\.txt/);
    await broken.close();
    const none = rules('', 404);
    assert.equal((await none.read(web.at('/open'), '', never)).title, 'Open');
    await none.close();
  });
  test('is not asked where the operator says so', async () => {
    rules('User-agent: *\nDisallow: /');
    const bold = createPageReader({ allow: [web.host], robots: false });
    assert.equal((await bold.read(web.at('/open'), '', never)).title, 'Open');
    assert.deepEqual(web.asked, ['/open']);
    await bold.close();
  });
});

test('says who asks, and asks for text', async () => {
  let headers: Record<string, unknown> = {};
  web.pages['/'] = (request, response) => {
    headers = request.headers;
    response.writeHead(200, HTML).end(page('Me', 'You.'));
  };
  await reader.read(web.at('/'), '', never);
  assert.match(String(headers['user-agent']), /compatible; Parlance\//);
  assert.match(String(headers.accept), /^text\/html/);
  assert.deepEqual([headers.cookie, headers.referer, headers.authorization], [undefined, undefined, undefined]);
});

test('reads many at once, and loses none', async () => {
  web.pages['/'] = page('Many', 'Times.');
  const pages = await Promise.all(Array.from({ length: 50 }, () => reader.read(web.at('/'), '', never)));
  assert.deepEqual(new Set(pages.map(({ title }) => title)), new Set(['Many']));
});
