import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, afterEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { createBrave } from '../../../src/adapters/web-search/brave.ts';
import { plainText } from '../../../src/adapters/web-search/plain-text.ts';
import { createSearxng } from '../../../src/adapters/web-search/searxng.ts';
import { createTavily } from '../../../src/adapters/web-search/tavily.ts';
import { createWebSearch } from '../../../src/adapters/web-search/web-search.ts';
import { createWikipedia } from '../../../src/adapters/web-search/wikipedia.ts';
import type { WebSearch } from '../../../src/ports/web-search.ts';

const KEY = 'canary-key-91f3';
const never = new AbortController().signal;

interface Asked {
  method: string;
  url: URL;
  headers: IncomingMessage['headers'];
  body: string;
}

/** What was asked since the test began. */
let asked: Asked[] = [];
let reply: (request: Asked, response: ServerResponse) => void;
const server = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  const url = new URL(request.url ?? '', 'http://engine');
  const one = { method: request.method ?? '', url, headers: request.headers, body };
  asked.push(one);
  reply(one, response);
});
const baseUrl = await listen(server);
afterEach(() => {
  asked = [];
});
after(() => stop(server));

function listen(listener: Server): Promise<string> {
  return new Promise((resolve) => {
    listener.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(listener.address() as AddressInfo).port}`));
  });
}

function stop(listener: Server): void {
  listener.close();
  listener.closeAllConnections();
}

function answerWith(value: unknown, status = 200, headers: Record<string, string> = {}): void {
  reply = (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof value === 'string' ? value : JSON.stringify(value));
  };
}

const engines: Record<string, { engine: WebSearch; nothing: unknown; results: (all: unknown[]) => unknown }> = {
  wikipedia: {
    engine: createWikipedia({ baseUrl }),
    nothing: { pages: [] },
    results: (all) => ({
      pages: (all as Record<string, string>[]).map(({ title, url, snippet }) => ({
        id: 1,
        key: url,
        title,
        excerpt: snippet,
        matched_title: null,
        description: null,
        thumbnail: null,
      })),
    }),
  },
  searxng: {
    engine: createSearxng({ baseUrl }),
    nothing: { query: 'x', number_of_results: 0, results: [], answers: [], suggestions: [], unresponsive_engines: [] },
    results: (all) => ({
      query: 'x',
      results: (all as Record<string, string>[]).map(({ title, url, snippet }) => ({ title, url, content: snippet })),
    }),
  },
  brave: {
    engine: createBrave({ baseUrl, key: KEY }),
    nothing: { type: 'search', query: { original: 'x' }, mixed: { type: 'mixed', main: [] } },
    results: (all) => ({
      type: 'search',
      web: {
        type: 'search',
        results: (all as Record<string, string>[]).map(({ title, url, snippet }) => ({
          title,
          url,
          description: snippet,
        })),
      },
    }),
  },
  tavily: {
    engine: createTavily({ baseUrl, key: KEY }),
    nothing: { query: 'x', answer: null, images: [], results: [], response_time: 0.5 },
    results: (all) => ({
      query: 'x',
      results: (all as Record<string, string>[]).map(({ title, url, snippet }) => ({
        title,
        url,
        content: snippet,
        score: 0.9,
      })),
    }),
  },
};

describe('wikipedia', () => {
  test('asks the REST search and reads its documented answer', async () => {
    answerWith({
      pages: [
        {
          id: 38930,
          key: 'Jupiter_(planet)',
          title: 'Jupiter (planet)',
          excerpt: '<span class="searchmatch">Jupiter</span> is the fifth planet &amp; the largest',
          matched_title: null,
          description: 'fifth planet from the Sun',
          thumbnail: { mimetype: 'image/jpeg', url: '//upload.example/x.jpg' },
        },
        { id: 2, key: 'Über/Moons', title: 'Über/Moons', excerpt: 'Moons.', description: null },
      ],
    });
    assert.deepEqual(await createWikipedia({ baseUrl }).search('largest planet?', 5, never), [
      {
        title: 'Jupiter (planet)',
        url: `${baseUrl}/wiki/Jupiter_(planet)`,
        snippet: 'fifth planet from the Sun. Jupiter is the fifth planet & the largest',
      },
      { title: 'Über/Moons', url: `${baseUrl}/wiki/%C3%9Cber%2FMoons`, snippet: 'Moons.' },
    ]);
    const [request] = asked;
    assert.equal(request?.method, 'GET');
    assert.equal(request?.url.pathname, '/w/rest.php/v1/search/page');
    assert.deepEqual(
      [...(request?.url.searchParams ?? [])],
      [
        ['q', 'largest planet?'],
        ['limit', '5'],
      ],
    );
    assert.match(request?.headers['user-agent'] ?? '', /^Parlance\/\S+ \(.+\)/);
  });

  test('where no page has all words, asks for any of them', async () => {
    reply = ({ url }, response) => {
      const all = url.searchParams.get('q') === 'who really directed Stalker?';
      response.end(JSON.stringify({ pages: all ? [] : [{ key: 'Stalker', title: 'Stalker', excerpt: 'A film.' }] }));
    };
    const [result] = await createWikipedia({ baseUrl }).search('who really directed Stalker?', 5, never);
    assert.equal(result?.title, 'Stalker');
    assert.equal(asked[1]?.url.searchParams.get('q'), 'who OR really OR directed OR Stalker');
  });

  test('no query is longer than its search takes', async () => {
    answerWith({ pages: [] });
    const words = Array.from({ length: 200 }, (_, i) => `word${i}`).join(' ');
    assert.deepEqual(await createWikipedia({ baseUrl }).search(words, 5, never), []);
    assert.equal(asked.length, 2);
    for (const { url } of asked) assert.ok((url.searchParams.get('q')?.length ?? 999) <= 300);
  });
});

test('searxng is asked for JSON, below the path of its address', async () => {
  answerWith({
    query: 'moons',
    number_of_results: 0,
    results: [
      {
        url: 'https://example.org/moons',
        title: 'Moons of Jupiter',
        content: 'It has 97 moons.',
        engine: 'duckduckgo',
        parsed_url: ['https', 'example.org', '/moons', '', '', ''],
        template: 'default.html',
        engines: ['duckduckgo'],
        positions: [1],
        score: 1,
        category: 'general',
      },
    ],
    answers: [],
    corrections: [],
    infoboxes: [],
    suggestions: [],
    unresponsive_engines: [],
  });
  assert.deepEqual(await createSearxng({ baseUrl: `${baseUrl}/searxng` }).search('moons & more', 5, never), [
    { title: 'Moons of Jupiter', url: 'https://example.org/moons', snippet: 'It has 97 moons.' },
  ]);
  assert.equal(asked[0]?.url.pathname, '/searxng/search');
  assert.deepEqual(
    [...(asked[0]?.url.searchParams ?? [])],
    [
      ['q', 'moons & more'],
      ['format', 'json'],
    ],
  );
});

test('brave is asked with its token, and with no more words than it takes', async () => {
  answerWith({
    type: 'search',
    query: { original: 'moons', more_results_available: true },
    web: {
      type: 'search',
      results: [
        {
          type: 'search_result',
          title: 'Moons of Jupiter - Example',
          url: 'https://example.org/moons',
          is_source_local: false,
          description: 'It has <strong>97 moons</strong> &#x27;and&#x27; rings.',
          age: 'January 5, 2026',
          meta_url: { scheme: 'https', hostname: 'example.org' },
        },
      ],
      family_friendly: true,
    },
  });
  assert.deepEqual(await createBrave({ baseUrl, key: KEY }).search('moon '.repeat(60), 5, never), [
    { title: 'Moons of Jupiter - Example', url: 'https://example.org/moons', snippet: "It has 97 moons 'and' rings." },
  ]);
  const [request] = asked;
  assert.equal(request?.url.pathname, '/res/v1/web/search');
  assert.equal(request?.url.searchParams.get('count'), '5');
  assert.equal(request?.url.searchParams.get('q')?.split(' ').length, 50);
  assert.equal(request?.headers['x-subscription-token'], KEY);
});

test('tavily is asked by POST with a bearer key', async () => {
  answerWith({
    query: 'moons',
    follow_up_questions: null,
    answer: null,
    images: [],
    results: [
      { url: 'https://example.org/moons', title: 'Moons', content: 'It has 97 moons.', score: 0.98, raw_content: null },
    ],
    response_time: 1.2,
    request_id: 'r',
  });
  assert.deepEqual(await createTavily({ baseUrl, key: KEY }).search('moons', 50, never), [
    { title: 'Moons', url: 'https://example.org/moons', snippet: 'It has 97 moons.' },
  ]);
  const [request] = asked;
  assert.equal(request?.method, 'POST');
  assert.equal(request?.url.pathname, '/search');
  assert.equal(request?.headers.authorization, `Bearer ${KEY}`);
  assert.equal(request?.headers['content-type'], 'application/json');
  assert.deepEqual(JSON.parse(request?.body ?? ''), { query: 'moons', max_results: 20 });
});

for (const [name, { engine, nothing, results }] of Object.entries(engines)) {
  describe(`${name}, like every engine`, () => {
    test('is called by its name', () => assert.equal(engine.name, name));

    test('finds nothing where there is nothing', async () => {
      answerWith(nothing);
      assert.deepEqual(await engine.search('x', 5, never), []);
    });

    test('gives each page once and no more than asked for', async () => {
      const many = Array.from({ length: 30 }, (_, i) => ({
        title: `${i}`,
        url: `https://example.org/${i >> 1}`,
        snippet: 's',
      }));
      answerWith(results(many));
      const found = await engine.search('x', 7, never);
      assert.equal(found.length, 7);
      assert.equal(new Set(found.map(({ url }) => url)).size, 7);
      assert.deepEqual(
        found.map(({ title }) => title),
        ['0', '2', '4', '6', '8', '10', '12'],
      );
    });

    test('gives plain text of bounded length', async () => {
      const long = `<script>x</script><b>${'&amp;word '.repeat(1000)}</b>`;
      answerWith(results([{ title: long, url: 'https://example.org/', snippet: long }]));
      const [found] = await engine.search('x', 5, never);
      assert.ok(found !== undefined && found.title.length <= 200 && found.snippet.length <= 1000);
      assert.ok(found.snippet.startsWith('x&word &word'));
      assert.ok(found.snippet.endsWith('…'));
    });

    test('leaves out what is no result', async () => {
      for (const wrong of [null, 7, 'text', [], {}]) {
        const shape = results([{ title: 'Good', url: 'https://example.org/good', snippet: '' }]);
        const json = JSON.stringify(shape).replace(/\[\{/, `[${JSON.stringify(wrong)},{`);
        answerWith(json);
        const found = await engine.search('x', 5, never);
        assert.deepEqual(
          found.map(({ title }) => title),
          ['Good'],
          json,
        );
      }
    });

    test('an answer of another form is refused with a sentence', async () => {
      for (const wrong of [7, [], null, 'text', { pages: {}, results: 7, web: [] }]) {
        answerWith(JSON.stringify(wrong));
        await assert.rejects(engine.search('x', 5, never), { message: 'Its answer has a form that is not known.' });
      }
      answerWith('<html>');
      await assert.rejects(engine.search('x', 5, never), { message: 'Its answer is not JSON.' });
    });

    test('no failure tells the key or what the engine said', async () => {
      for (const status of [301, 400, 401, 402, 403, 404, 408, 422, 429, 432, 433, 500, 503]) {
        answerWith({ error: `you sent ${KEY}`, detail: KEY }, status, { location: `http://127.0.0.1:1/?k=${KEY}` });
        await assert.rejects(engine.search('x', 5, never), (error: Error) => {
          assert.match(error.message, /^[A-Z].*\.$/, `${status}: a sentence`);
          assert.ok(!error.message.includes(KEY), `${status}: ${error.message}`);
          assert.equal(error.cause, undefined);
          return true;
        });
      }
    });

    test('a redirect is not followed', async () => {
      answerWith('', 302, { location: `${baseUrl}/elsewhere` });
      await assert.rejects(engine.search('x', 5, never), /redirect/);
      assert.equal(asked.length, 1);
    });

    test('an answer over 2 MiB is cut off', async () => {
      let cut: () => void;
      const closed = new Promise<void>((resolve) => {
        cut = resolve;
      });
      reply = (_, response) => {
        response.on('close', () => cut());
        const more = () => {
          while (!response.destroyed && response.write(' '.repeat(65_536)));
          response.once('drain', more);
        };
        more();
      };
      await assert.rejects(engine.search('x', 5, never), { message: 'Its answer is over 2 MiB.' });
      await closed;
    });

    test('a search that is given up ends at once', async () => {
      const abort = new AbortController();
      reply = () => abort.abort();
      await assert.rejects(engine.search('x', 5, abort.signal), { message: 'The search was given up.' });
    });
  });
}

test('pages of other schemes, with passwords or endless addresses are no results', async () => {
  const urls = [
    'javascript:alert(1)',
    'file:///etc/passwd',
    'data:text/html,x',
    'ftp://example.org/',
    'https://user:secret@example.org/',
    '//example.org/',
    '',
    `https://example.org/${'x'.repeat(3000)}`,
    'https://example.org/#top',
    'https://example.org/#end',
    'HTTP://EXAMPLE.ORG/other',
  ];
  answerWith({ results: urls.map((url) => ({ title: 't', url, content: '' })) });
  const found = await createSearxng({ baseUrl }).search('x', 20, never);
  assert.deepEqual(
    found.map(({ url }) => url),
    ['https://example.org/#top', 'http://example.org/other'],
  );
});

test('what an engine must be set to is said', async () => {
  const said = async (engine: WebSearch, status: number): Promise<string> => {
    answerWith({}, status);
    return engine.search('x', 5, never).then(
      () => 'nothing',
      (error: Error) => error.message,
    );
  };
  assert.match(await said(createSearxng({ baseUrl }), 403), /search\.formats/);
  assert.match(await said(createSearxng({ baseUrl }), 404), /SEARXNG_URL/);
  for (const status of [401, 422])
    assert.match(await said(createBrave({ baseUrl, key: KEY }), status), /BRAVE_API_KEY/);
  for (const status of [401, 432, 433])
    assert.match(await said(createTavily({ baseUrl, key: KEY }), status), /TAVILY_API_KEY/);
  for (const { engine } of Object.values(engines)) assert.match(await said(engine, 429), /try again later/);
});

test('an engine that does not answer in time, or not at all, is said to be so', async () => {
  reply = (_, response) => response.writeHead(200).write('{');
  const slow = createSearxng({ baseUrl, timeoutMs: 50 });
  await assert.rejects(slow.search('x', 5, never), { message: 'It did not answer within 0.05 seconds.' });
  reply = (_, response) => response.destroy();
  await assert.rejects(
    createSearxng({ baseUrl }).search('x', 5, never),
    /^Error: It cannot be reached: it closed the connection\.$/,
  );
  const gone = createServer();
  const nobody = await listen(gone);
  stop(gone);
  await assert.rejects(createSearxng({ baseUrl: nobody }).search('x', 5, never), {
    message: 'It cannot be reached: the connection is refused.',
  });
  await assert.rejects(createBrave({ baseUrl, key: 'a\nb' }).search('x', 5, never), {
    message: 'Its key holds a character that no header can.',
  });
});

describe('the engines of a configuration', () => {
  const none = { searxng: null, brave: null, tavily: null, proxy: { http: null, https: null, noProxy: null } };
  const names = (config: typeof none | Record<string, unknown>) =>
    createWebSearch({ ...none, ...config }).map(({ name }) => name);

  test('are those that are configured, in order, else Wikipedia', () => {
    assert.deepEqual(names({}), ['wikipedia']);
    assert.deepEqual(names({ tavily: KEY }), ['tavily']);
    assert.deepEqual(names({ tavily: KEY, brave: KEY, searxng: baseUrl }), ['searxng', 'brave', 'tavily']);
  });

  test('are asked through the proxy, but for this machine', async () => {
    const proxied: string[] = [];
    const proxy = createServer((request, response) => {
      proxied.push(request.url ?? '');
      response.end(JSON.stringify({ results: [{ title: 'By proxy', url: 'https://example.org/', content: '' }] }));
    });
    proxy.on('connect', (request, socket) => {
      proxied.push(request.url ?? '');
      socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
    });
    const address = await listen(proxy);
    after(() => stop(proxy));
    const through = { http: address, https: address, noProxy: 'direct.test' };
    const [far] = createWebSearch({ ...none, searxng: 'http://search.test', proxy: through });
    assert.equal((await far?.search('x', 5, never))?.[0]?.title, 'By proxy');
    const [tunnel] = createWebSearch({ ...none, searxng: 'https://search.test', proxy: through });
    await assert.rejects(async () => tunnel?.search('x', 5, never), /the proxy refused the connection/);
    answerWith({ results: [{ title: 'Direct', url: 'https://example.org/', content: '' }] });
    const [here] = createWebSearch({ ...none, searxng: baseUrl, proxy: through });
    assert.equal((await here?.search('x', 5, never))?.[0]?.title, 'Direct');
    assert.deepEqual(proxied, ['http://search.test/search?q=x&format=json', 'search.test:443']);
  });

  test('say so when the proxy wants a password', async () => {
    const proxy = createServer((_, response) => response.writeHead(407).end());
    const address = await listen(proxy);
    after(() => stop(proxy));
    const through = { http: address, https: null, noProxy: null };
    const [far] = createWebSearch({ ...none, searxng: 'http://search.test', proxy: through });
    await assert.rejects(async () => far?.search('x', 5, never), { message: 'The proxy wants a name and a password.' });
  });
});

describe('plain text', () => {
  test('has no tags, and its entities are decoded once', () => {
    const cases: [html: string, text: string][] = [
      ['<b>a</b> &amp; <i class="x">b</i>', 'a & b'],
      ['&lt;script&gt;', '<script>'],
      ['&amp;lt;', '&lt;'],
      ['&#39;&#x41;&#0;&#1114112;', "'A"],
      ['&unknown; & &', '&unknown; & &'],
      ['1 < 2 and 3 > 2', '1 < 2 and 3 > 2'],
      ['a<!-- no -->b', 'ab'],
      ['a\n\t\u0000\u001b[31m b', 'a [31m b'],
      ['\u202egnp.exe\u202c', 'gnp.exe'],
      ['&#xd800;x', '\ufffdx'],
    ];
    for (const [html, text] of cases) assert.equal(plainText(html, 100), text, html);
    for (const wrong of [null, undefined, 7, {}]) assert.equal(plainText(wrong, 100), '');
  });

  test('is one well-formed line of at most the given length, whatever it is made from', () => {
    const html = fc
      .array(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('<', '>', '&', '&#x1F600;', '😀', '\n')))
      .map((all) => all.join(''));
    fc.assert(
      fc.property(html, fc.integer({ min: 1, max: 50 }), (given, most) => {
        const text = plainText(given, most);
        assert.ok(text.length <= most && text.isWellFormed() && !/\p{Cc}/u.test(text), JSON.stringify(text));
      }),
    );
  });

  test('takes no long time on hostile text', () => {
    const begun = performance.now();
    for (const hostile of ['<', '<a', '&', '&a', '</', '<a ']) plainText(hostile.repeat(500_000), 1000);
    const took = performance.now() - begun;
    assert.ok(took < 200, `six of them in ${took} ms`);
  });
});
