import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { ConfigError, loadConfig, ownAddress } from '../src/config.ts';

const folder = mkdtempSync(join(tmpdir(), 'parlance-config-'));
after(() => rmSync(folder, { recursive: true }));

type Env = Record<string, string>;

/** A folder with these files in it. */
function folderWith(files: Record<string, string>): string {
  const made = mkdtempSync(join(folder, 'with-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(made, name), text);
  return made;
}

const load = (env: Env) => loadConfig(env, folder);
const loadFile = (file: unknown, env: Env = {}) =>
  loadConfig(env, folderWith({ 'parlance.config.json': typeof file === 'string' ? file : JSON.stringify(file) }));

/** The one problem of a configuration. */
async function problem(loading: Promise<unknown>): Promise<string> {
  const problems = await problemsOf(loading);
  assert.equal(problems.length, 1, `one problem, not: ${problems.join(' | ')}`);
  return problems[0] ?? '';
}

async function problemsOf(loading: Promise<unknown>): Promise<readonly string[]> {
  const error = await loading.then(
    () => assert.fail('this configuration must be refused'),
    (thrown) => thrown,
  );
  assert.ok(error instanceof ConfigError, `a ConfigError, not ${error}`);
  for (const text of error.problems) assert.match(text, /^\S.*[.?]$/s, 'a problem is a sentence');
  return error.problems;
}

test('everything has the documented default', async () => {
  const config = await load({});
  assert.deepEqual(config, {
    listen: { hosts: ['127.0.0.1', '::1'], port: 8000 },
    data: join(folder, 'data'),
    file: null,
    ownerKey: null,
    models: {
      model: null,
      openai: null,
      anthropic: null,
      gemini: null,
      ollama: null,
      providers: [],
      detect: true,
      proxy: { http: null, https: null, noProxy: null },
      connectTimeoutMs: 10_000,
    },
    search: { searxng: null, brave: null, tavily: null },
    web: { pages: 4, robots: true, allow: [] },
    rates: { perMinute: 100, perHour: 1000 },
    access: { local: true, hosts: [], origins: [], trustedProxies: [], publicUrl: null },
    timeouts: { firstToken: null, silence: 60_000, run: 600_000, drain: 25_000 },
    bounds: {
      flushMs: 50,
      maxBody: 8 * 1024 * 1024,
      maxAnswer: 1024 * 1024,
      maxRuns: 10_000,
      maxRunsPerUser: 1000,
      maxStreamsPerUser: 1000,
      maxConnections: 20_000,
    },
    tools: { rounds: 8, timeout: 60_000, maxResult: 64 * 1024 },
    titles: 'model',
    assistants: [],
    mcpServers: [],
    prices: new Map(),
    logLevel: 'info',
    clientKey: null,
  });
});

test('a variable that is set to nothing is not set', async () => {
  const config = await load({ PORT: '', PARLANCE_HOST: ' ', OPENAI_API_KEY: '', DATABASE_URL: '' });
  assert.deepEqual(config, await load({}));
});

test('the value cannot be changed, at any depth', async () => {
  const config = await loadFile({ assistants: [{ id: 'a', fallbacks: ['m'] }] });
  const values: unknown[] = [config];
  for (const value of values) {
    if (typeof value !== 'object' || value === null) continue;
    assert.ok(Object.isFrozen(value), `${JSON.stringify(value)} is frozen`);
    values.push(...Object.values(value));
  }
});

/** Variable, text, and how the part of the configuration it sets is then read. */
const accepted: [name: string, text: string, read: (c: Awaited<ReturnType<typeof load>>) => unknown, value: unknown][] =
  [
    ['PORT', '0', (c) => c.listen.port, 0],
    ['PARLANCE_HOST', '0.0.0.0', (c) => c.listen.hosts, ['0.0.0.0']],
    ['PARLANCE_HOST', 'localhost', (c) => c.listen.hosts, ['127.0.0.1', '::1']],
    ['PARLANCE_HOST', ' [::] , 10.0.0.7,', (c) => c.listen.hosts, ['::', '10.0.0.7']],
    ['PARLANCE_DATA', '/var/lib/parlance', (c) => c.data, '/var/lib/parlance'],
    ['PARLANCE_OWNER_KEY', `plk_${'x'.repeat(32)}`, (c) => c.ownerKey, `plk_${'x'.repeat(32)}`],
    ['PARLANCE_KEY', 'plk_abc', (c) => c.clientKey, 'plk_abc'],
    ['PARLANCE_MODEL', 'ollama/llama3.2', (c) => c.models.model, 'ollama/llama3.2'],
    ['OPENAI_API_KEY', 'k', (c) => c.models.openai, { apiKey: 'k', baseUrl: 'https://api.openai.com/v1' }],
    ['OPENAI_BASE_URL', 'http://h:1/v1/', (c) => c.models.openai, { apiKey: null, baseUrl: 'http://h:1/v1' }],
    ['ANTHROPIC_API_KEY', 'k', (c) => c.models.anthropic, { apiKey: 'k' }],
    ['GEMINI_API_KEY', 'k', (c) => c.models.gemini, { apiKey: 'k' }],
    ['SEARXNG_URL', 'https://s.example/x', (c) => c.search.searxng, 'https://s.example/x'],
    ['BRAVE_API_KEY', 'k', (c) => c.search.brave, 'k'],
    ['TAVILY_API_KEY', 'k', (c) => c.search.tavily, 'k'],
    ['PARLANCE_RATE_PER_MINUTE', '0', (c) => c.rates.perMinute, 0],
    ['PARLANCE_RATE_PER_HOUR', '6000', (c) => c.rates.perHour, 6000],
    ['PARLANCE_LOCAL', 'off', (c) => c.access.local, false],
    ['PARLANCE_DETECT', 'off', (c) => c.models.detect, false],
    [
      'PARLANCE_HOSTS',
      'Chat.example.com, box:8443,[::1]:8000',
      (c) => c.access.hosts,
      ['chat.example.com', 'box:8443', '[::1]:8000'],
    ],
    [
      'PARLANCE_ORIGINS',
      'https://a.example/,http://b:3000',
      (c) => c.access.origins,
      ['https://a.example', 'http://b:3000'],
    ],
    ['PARLANCE_TRUSTED_PROXIES', '10.0.0.0/8, ::1', (c) => c.access.trustedProxies, ['10.0.0.0/8', '::1']],
    ['PARLANCE_PUBLIC_URL', 'https://chat.example.com/', (c) => c.access.publicUrl, 'https://chat.example.com'],
    ['PARLANCE_TIMEOUT_CONNECT', '2.5', (c) => c.models.connectTimeoutMs, 2500],
    ['PARLANCE_TIMEOUT_FIRST_TOKEN', '60', (c) => c.timeouts.firstToken, 60_000],
    ['PARLANCE_TIMEOUT_SILENCE', '0.05', (c) => c.timeouts.silence, 50],
    ['PARLANCE_TIMEOUT_RUN', '3600', (c) => c.timeouts.run, 3_600_000],
    ['PARLANCE_TIMEOUT_DRAIN', '1', (c) => c.timeouts.drain, 1000],
    ['PARLANCE_FLUSH_MS', '100', (c) => c.bounds.flushMs, 100],
    ['PARLANCE_MAX_BODY', '512 KiB', (c) => c.bounds.maxBody, 512 * 1024],
    ['PARLANCE_MAX_ANSWER', '2mb', (c) => c.bounds.maxAnswer, 2_000_000],
    ['PARLANCE_MAX_RUNS', '5', (c) => c.bounds.maxRuns, 5],
    ['PARLANCE_MAX_RUNS_PER_USER', '6', (c) => c.bounds.maxRunsPerUser, 6],
    ['PARLANCE_MAX_STREAMS_PER_USER', '7', (c) => c.bounds.maxStreamsPerUser, 7],
    ['PARLANCE_MAX_CONNECTIONS', '8', (c) => c.bounds.maxConnections, 8],
    ['PARLANCE_TITLES', 'off', (c) => c.titles, 'off'],
    ['LOG_LEVEL', 'debug', (c) => c.logLevel, 'debug'],
  ];

for (const [name, text, read, value] of accepted) {
  test(`${name}=${text} is read`, async () => assert.deepEqual(read(await load({ [name]: text })), value));
}

const rejected: [name: string, text: string, sentence: RegExp][] = [
  ['PORT', '80a', /whole number from 0 to 65535/],
  ['PORT', '65536', /whole number/],
  ['PORT', '-1', /whole number/],
  ['PORT', '1e3', /whole number/],
  ['PARLANCE_HOST', 'http://x', /address to listen on/],
  ['PARLANCE_HOST', '127.0.0.1:80', /the port is set by PORT/],
  ['PARLANCE_HOST', ',', /must name an address/],
  ['PARLANCE_OWNER_KEY', 'plk_short', /"plk_" and at least 32/],
  ['PARLANCE_OWNER_KEY', `xlk_${'x'.repeat(40)}`, /"plk_"/],
  ['OPENAI_BASE_URL', 'localhost:1234', /http or https URL/],
  ['OPENAI_BASE_URL', 'ftp://x', /http or https URL/],
  ['OPENAI_BASE_URL', 'http://user:pass@x/v1', /must not hold a user name or a password/],
  ['SEARXNG_URL', 'http://x/?q=1', /without "\?"/],
  ['OLLAMA_HOST', 'ftp://x', /as Ollama takes it/],
  ['PARLANCE_RATE_PER_MINUTE', '1.5', /whole number/],
  ['PARLANCE_LOCAL', 'false', /must be on or off/],
  ['PARLANCE_DETECT', 'ON', /must be on or off/],
  ['PARLANCE_HOSTS', 'https://chat.example.com', /without http/],
  ['PARLANCE_HOSTS', 'x:0', /must list hosts/],
  ['PARLANCE_ORIGINS', '*', /one by one/],
  ['PARLANCE_ORIGINS', 'https://a.example/path', /without a path/],
  ['PARLANCE_TRUSTED_PROXIES', '10.0.0.0/33', /must list addresses/],
  ['PARLANCE_TRUSTED_PROXIES', 'proxy.local', /must list addresses/],
  ['PARLANCE_PUBLIC_URL', 'talk.example.org', /origin such as/],
  ['PARLANCE_TIMEOUT_RUN', '0', /above 0/],
  ['PARLANCE_TIMEOUT_CONNECT', '10s', /number of seconds/],
  ['PARLANCE_TIMEOUT_FIRST_TOKEN', '999999', /up to 86400/],
  ['PARLANCE_FLUSH_MS', '0', /from 1 to 1000/],
  ['PARLANCE_MAX_BODY', '8XB', /8MiB/],
  ['PARLANCE_MAX_BODY', '1', /from 1024/],
  ['PARLANCE_MAX_RUNS', '0', /from 1/],
  ['PARLANCE_MAX_RUNS_PER_USER', '0', /from 1/],
  ['PARLANCE_MAX_STREAMS_PER_USER', 'many', /whole number/],
  ['PARLANCE_TITLES', 'yes', /one of model, words, off/],
  ['LOG_LEVEL', 'verbose', /one of trace/],
  ['DATABASE_URL', 'postgres://u:p@h/d', /not supported yet.*embedded database/],
  ['PARLANCE_OIDC_ISSUER', 'https://id.example', /not supported yet.*API keys/],
  ['PARLANCE_OIDC_CLIENT_SECRET', 'abc', /not supported yet/],
];

for (const [name, text, sentence] of rejected) {
  test(`${name}=${text} is refused by name`, async () => {
    const said = await problem(load({ [name]: text }));
    assert.ok(said.startsWith(`${name} `), said);
    assert.match(said, sentence);
    if (text.length > 4) assert.ok(!said.includes(text), 'the value is not repeated');
  });
}

test('all that is wrong is said at once', async () => {
  const problems = await problemsOf(load({ PORT: 'x', PARLANCE_LOCAL: 'x', PARLANCE_NOPE: 'x' }));
  assert.equal(problems.length, 3);
});

for (const [typed, meant] of [
  ['PARLANCE_RATE_PER_MINTUE', 'PARLANCE_RATE_PER_MINUTE'],
  ['PARLANCE_ORIGIN', 'PARLANCE_ORIGINS'],
  ['PARLANCE_PORT', 'PORT'],
  ['PARLANCE_OPENAI_API_KEY', 'OPENAI_API_KEY'],
] as const) {
  test(`${typed} is unknown, and ${meant} is meant`, async () => {
    const said = await problem(load({ [typed]: 'x' }));
    assert.equal(said, `${typed} is not a setting of Parlance; did you mean ${meant}?`);
  });
}

test('an unknown name that is near to none is refused without a guess', async () => {
  assert.equal(await problem(load({ PARLANCE_XYZ: '1' })), 'PARLANCE_XYZ is not a setting of Parlance: unset it.');
});

test('no error repeats what was set, whatever it is', async () => {
  const { PORT: _, ...names } = Object.fromEntries([...accepted, ...rejected].map(([name]) => [name, true]));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('PORT', ...Object.keys(names)),
      fc.string({ minLength: 12 }),
      async (name, text) => {
        const secret = `k3y-${text}`.replaceAll('\0', '');
        const error = await load({ [name]: secret }).then(
          () => null,
          (thrown) => thrown,
        );
        if (error === null) return;
        assert.ok(error instanceof ConfigError, String(error));
        assert.ok(!error.message.includes('k3y-'), error.message);
      },
    ),
  );
});

test('a size is the same in every unit', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 1024 }), async (mib) => {
      for (const text of [`${mib}MiB`, `${mib * 1024} KiB`, `${mib * 1024 * 1024}`, `${mib * 1024 * 1024}B`]) {
        assert.equal((await load({ PARLANCE_MAX_BODY: text })).bounds.maxBody, mib * 1024 * 1024);
      }
    }),
  );
});

// The cases of Ollama's own test of its `envconfig.Host`, but that an address to listen on is reached at loopback.
for (const [text, url] of [
  ['1.2.3.4', 'http://1.2.3.4:11434'],
  [':1234', 'http://127.0.0.1:1234'],
  ['1.2.3.4:1234', 'http://1.2.3.4:1234'],
  ['example.com', 'http://example.com:11434'],
  ['example.com:1234', 'http://example.com:1234'],
  [':66000', 'http://127.0.0.1:11434'],
  [':-1', 'http://127.0.0.1:11434'],
  ['[::1]', 'http://[::1]:11434'],
  ['[::]', 'http://[::1]:11434'],
  ['::1', 'http://[::1]:11434'],
  ['[::1]:1337', 'http://[::1]:1337'],
  ['0.0.0.0:11434', 'http://127.0.0.1:11434'],
  [' " 1.2.3.4 " ', 'http://1.2.3.4:11434'],
  ["'1.2.3.4'", 'http://1.2.3.4:11434'],
  ['http://1.2.3.4', 'http://1.2.3.4'],
  ['http://1.2.3.4:4321', 'http://1.2.3.4:4321'],
  ['https://1.2.3.4', 'https://1.2.3.4'],
  ['https://example.com/ollama', 'https://example.com/ollama'],
] as const) {
  test(`OLLAMA_HOST=${text} is ${url}`, async () =>
    assert.deepEqual((await load({ OLLAMA_HOST: text })).models.ollama, { url }));
}

test('the proxy is read in both cases; the lower one wins, as in curl', async () => {
  const both = await load({ HTTPS_PROXY: 'http://upper:1', https_proxy: 'http://lower:1', NO_PROXY: 'a,b' });
  assert.deepEqual(both.models.proxy, { http: null, https: 'http://lower:1', noProxy: 'a,b' });
  const upper = await load({ HTTP_PROXY: 'http://upper:1', no_proxy: 'c' });
  assert.deepEqual(upper.models.proxy, { http: 'http://upper:1', https: null, noProxy: 'c' });
});

test('.env is read, and the real environment wins', async () => {
  const cwd = folderWith({ '.env': '# mine\nPORT=9000\nOPENAI_API_KEY="sk-dotenv"\nPARLANCE_DATA=there\n' });
  const config = await loadConfig({ PORT: '9001' }, cwd);
  assert.equal(config.listen.port, 9001);
  assert.equal(config.models.openai?.apiKey, 'sk-dotenv');
  assert.equal(config.data, join(cwd, 'there'));
});

test('an unknown name in .env is refused', async () => {
  const said = await problem(loadConfig({}, folderWith({ '.env': 'PARLANCE_LOKAL=off\n' })));
  assert.match(said, /PARLANCE_LOKAL.*did you mean PARLANCE_LOCAL/);
});

test('the config file gives assistants, providers and the default model', async () => {
  const config = await loadFile(
    {
      $schema: './x.json',
      model: 'groq/llama',
      assistants: [
        { id: 'short', instructions: ['Be brief.', 'Be kind.'], fallbacks: ['a', 'b'], webSearch: true },
        { id: 'cook', name: 'Cook', description: 'Cooks.', instructions: 'You cook.', model: 'm' },
      ],
      providers: [
        { id: 'groq', baseUrl: 'https://api.groq.com/openai/v1/', apiKeyEnv: 'GROQ_API_KEY' },
        { id: 'mine', baseUrl: 'http://10.0.0.2:8080/v1' },
        { id: 'inline', baseUrl: 'https://i.example/v1', apiKey: 'sk-inline' },
      ],
    },
    { GROQ_API_KEY: 'gsk' },
  );
  assert.equal(config.models.model, 'groq/llama');
  const [short, cook] = config.assistants;
  assert.deepEqual(short, {
    id: 'short',
    name: 'short',
    description: '',
    instructions: 'Be brief.\nBe kind.',
    model: null,
    fallbacks: ['a', 'b'],
    webSearch: true,
    tools: [],
  });
  assert.equal(cook?.name, 'Cook');
  assert.deepEqual(config.models.providers, [
    { id: 'groq', baseUrl: 'https://api.groq.com/openai/v1', apiKey: 'gsk' },
    { id: 'mine', baseUrl: 'http://10.0.0.2:8080/v1', apiKey: null },
    { id: 'inline', baseUrl: 'https://i.example/v1', apiKey: 'sk-inline' },
  ]);
});

/** How the config file names a variable. */
function reference(name: string): string {
  return `\${${name}}`;
}

test('MCP servers: references are filled in, and what is secret is known', async () => {
  const { mcpServers, assistants } = await loadFile(
    {
      assistants: [{ id: 'a', tools: ['files', 'docs/search'] }],
      mcpServers: {
        files: {
          type: 'stdio',
          command: 'npx',
          args: ['-y', 'files@1.0.0', reference('FOLDER')],
          env: { FILES_TOKEN: 'token-123', MODE: 'read', FROM: reference('env:FOLDER') },
          tools: ['read_file'],
          approve: { write_file: 'never' },
        },
        docs: {
          url: 'https://docs.example/mcp/',
          headers: { Authorization: `Bearer ${reference('DOCS_KEY')}` },
          approve: 'always',
        },
        off: { command: 'off', disabled: true },
      },
    },
    { FOLDER: '/srv/files', DOCS_KEY: 'key-123456' },
  );
  assert.deepEqual(assistants[0]?.tools, ['files', 'docs/search']);
  assert.deepEqual(mcpServers, [
    {
      name: 'files',
      reach: {
        kind: 'stdio',
        command: 'npx',
        args: ['-y', 'files@1.0.0', '/srv/files'],
        env: { FILES_TOKEN: 'token-123', MODE: 'read', FROM: '/srv/files' },
        cwd: null,
      },
      tools: ['read_file'],
      approve: { write_file: 'never' },
      secrets: ['token-123'],
    },
    {
      name: 'docs',
      reach: { kind: 'http', url: 'https://docs.example/mcp/', headers: { Authorization: 'Bearer key-123456' } },
      tools: null,
      approve: 'always',
      secrets: ['key-123456', 'Bearer key-123456'],
    },
  ]);
});

test('the config file says what models cost', async () => {
  const config = await loadFile({
    models: {
      'gpt-5-mini': { inputPerMillion: 0.25, cachedInputPerMillion: 0.025, outputPerMillion: 2 },
      'ollama/llama3.2': { inputPerMillion: 0, outputPerMillion: 0 },
    },
  });
  assert.deepEqual(Object.fromEntries(config.prices), {
    'gpt-5-mini': { input: 0.25, cachedInput: 0.025, output: 2 },
    'ollama/llama3.2': { input: 0, cachedInput: 0, output: 0 },
  });
});

test('PARLANCE_MODEL wins over the model of the config file', async () => {
  assert.equal((await loadFile({ model: 'file' }, { PARLANCE_MODEL: 'env' })).models.model, 'env');
});

test('PARLANCE_CONFIG names the config file', async () => {
  const cwd = folderWith({ 'other.json': '{"model": "m"}' });
  const config = await loadConfig({ PARLANCE_CONFIG: 'other.json' }, cwd);
  assert.equal(config.models.model, 'm');
  assert.equal(config.file, join(cwd, 'other.json'));
  const said = await problem(loadConfig({ PARLANCE_CONFIG: 'gone.json' }, cwd));
  assert.equal(said, `PARLANCE_CONFIG names ${join(cwd, 'gone.json')}, which is not there.`);
});

const badFiles: [what: string, file: unknown, sentence: RegExp][] = [
  ['not JSON', '{"model": "x",\n}', /not valid JSON \(line 2, column 1\)\.$/],
  ['not JSON, in another way', '{"model": sk-secret-in-the-file}', /not valid JSON \(unexpected "s"\)\.$/],
  ['a list', [], /the file must be an object\.$/],
  ['an unknown field', { modle: 'x' }, /unknown field: "modle" \(did you mean "model"\?\)\.$/],
  [
    'an unknown field of an assistant',
    { assistants: [{ id: 'a', prompt: '' }] },
    /assistants\[0\] has an unknown field: "prompt"\.$/,
  ],
  ['a missing id', { assistants: [{}] }, /assistants\[0\]\.id is missing\.$/],
  ['a bad id', { assistants: [{ id: 'A b' }] }, /assistants\[0\]\.id must be 1–64 of a–z/],
  [
    'a wrong type',
    { assistants: [{ id: 'a', webSearch: 'yes' }] },
    /assistants\[0\]\.webSearch must be true or false\.$/,
  ],
  ['no list', { assistants: {} }, /assistants must be a list\.$/],
  ['half a price', { models: { m: { inputPerMillion: 1 } } }, /models\.m\.outputPerMillion is missing\.$/],
  [
    'a price below nothing',
    { models: { m: { inputPerMillion: -1, outputPerMillion: 1 } } },
    /models\.m\.inputPerMillion must not be negative\.$/,
  ],
  [
    'a price as a text',
    { models: { m: { inputPerMillion: '1', outputPerMillion: 1 } } },
    /models\.m\.inputPerMillion must be a number\.$/,
  ],
  [
    'an unknown price',
    { models: { m: { inputPerMillion: 1, outputPerMillion: 1, outputPerMilion: 1 } } },
    /has an unknown field: "outputPerMilion" \(did you mean "outputPerMillion"\?\)/,
  ],
  [
    'a wrong entry',
    { assistants: [{ id: 'a', fallbacks: ['m', 1] }] },
    /assistants\[0\]\.fallbacks\[1\] must be a text in quotes\.$/,
  ],
  [
    'wrong instructions',
    { assistants: [{ id: 'a', instructions: 1 }] },
    /assistants\[0\]\.instructions must be a text in quotes, or/,
  ],
  [
    'the same id twice',
    { assistants: [{ id: 'a' }, { id: 'a' }] },
    /assistants\[1\]\.id is the same as assistants\[0\]\.id\.$/,
  ],
  [
    'a reserved id',
    { providers: [{ id: 'openai', baseUrl: 'http://x' }] },
    /providers\[0\]\.id must not be one of openai/,
  ],
  [
    'a bad address',
    { providers: [{ id: 'a', baseUrl: 'x' }] },
    /providers\[0\]\.baseUrl must be an http or https URL\.$/,
  ],
  [
    'a password',
    { providers: [{ id: 'a', baseUrl: 'http://u:sk-secret-in-the-file@x' }] },
    /baseUrl must not hold a user name or a password\.$/,
  ],
  [
    'two keys',
    { providers: [{ id: 'a', baseUrl: 'http://x', apiKey: 'sk-secret-in-the-file', apiKeyEnv: 'PATH' }] },
    /providers\[0\] has both/,
  ],
  [
    'a key that is not set',
    { providers: [{ id: 'a', baseUrl: 'http://x', apiKeyEnv: 'NOT_SET_KEY' }] },
    /providers\[0\]\.apiKeyEnv names an environment variable that is not set\.$/,
  ],
  [
    'a server that nobody has',
    { assistants: [{ id: 'a', tools: ['files/read'] }] },
    /assistants\[0\]\.tools\[0\] names the server "files", which is not in mcpServers\.$/,
  ],
  [
    'an MCP server that is nowhere',
    { mcpServers: { a: {} } },
    /mcpServers\.a must have a command or a url, and not both\.$/,
  ],
  [
    'an MCP server that is in two places',
    { mcpServers: { a: { command: 'x', url: 'http://x' } } },
    /mcpServers\.a must have a command or a url, and not both\.$/,
  ],
  [
    'headers for a program',
    { mcpServers: { a: { command: 'x', headers: {} } } },
    /mcpServers\.a\.headers needs a url\.$/,
  ],
  ['arguments for an address', { mcpServers: { a: { url: 'http://x', args: [] } } }, /a\.args needs a command\.$/],
  [
    'a bad address of an MCP server',
    { mcpServers: { a: { url: 'file:///x' } } },
    /a\.url must be an http or https URL\.$/,
  ],
  [
    'a reference to nothing',
    { mcpServers: { a: { command: 'x', env: { KEY: `sk-secret-${reference('NOT_SET_KEY')}` } } } },
    /mcpServers\.a\.env\.KEY names NOT_SET_KEY, which is not set\.$/,
  ],
  [
    'an unknown field of an MCP server',
    { mcpServers: { a: { comand: 'x' } } },
    /mcpServers\.a has an unknown field: "comand" \(did you mean "command"\?\)\.$/,
  ],
  [
    'a wrong approval',
    { mcpServers: { a: { command: 'x', approve: 'sometimes' } } },
    /a\.approve must be "always", "never" or "writes", or one of these for each tool\.$/,
  ],
];

for (const [what, file, sentence] of badFiles) {
  test(`a config file with ${what} is refused with its place`, async () => {
    const said = await problem(loadFile(file, { PATH: '/bin' }));
    assert.match(said, sentence);
    assert.match(said, /parlance\.config\.json: /);
    assert.ok(!said.includes('sk-secret'), 'nothing of the file is repeated');
  });
}

const own: [env: Env, named: string][] = [
  [{ OPENAI_BASE_URL: 'http://127.0.0.1:8000/v1' }, 'OPENAI_BASE_URL'],
  [{ OPENAI_BASE_URL: 'http://localhost:9000/v1', PORT: '9000' }, 'OPENAI_BASE_URL'],
  [{ OPENAI_BASE_URL: 'http://[::1]:8000/v1' }, 'OPENAI_BASE_URL'],
  [{ OPENAI_BASE_URL: 'http://0.0.0.0:8000' }, 'OPENAI_BASE_URL'],
  [{ OPENAI_BASE_URL: 'http://10.0.0.7:8000/v1', PARLANCE_HOST: '10.0.0.7' }, 'OPENAI_BASE_URL'],
  [
    { OPENAI_BASE_URL: 'https://chat.example.com/v1', PARLANCE_PUBLIC_URL: 'https://chat.example.com' },
    'OPENAI_BASE_URL',
  ],
  [{ OPENAI_BASE_URL: 'http://localhost/v1', PORT: '80' }, 'OPENAI_BASE_URL'],
  [{ OLLAMA_HOST: ':8000' }, 'OLLAMA_HOST'],
];

for (const [env, named] of own) {
  test(`a server that would ask itself is not started: ${JSON.stringify(env)}`, async () => {
    assert.ok(ownAddress(await load(env))?.startsWith(`${named} points at Parlance itself`));
  });
}

test('a provider of the config file that is the server itself is named', async () => {
  const config = await loadFile({ providers: [{ id: 'me', baseUrl: 'http://localhost:8000/v1' }] });
  assert.match(ownAddress(config) ?? '', /provider "me" points at Parlance itself/);
});

for (const env of [
  { OPENAI_BASE_URL: 'http://127.0.0.1:1234/v1' },
  { OPENAI_BASE_URL: 'http://10.0.0.7:8000/v1' },
  { OPENAI_BASE_URL: 'https://localhost/v1' },
  { OPENAI_BASE_URL: 'http://127.0.0.1:8000/v1', PORT: '0' },
  { OPENAI_API_KEY: 'x' },
] as Env[]) {
  test(`a server that asks another one is started: ${JSON.stringify(env)}`, async () =>
    assert.equal(ownAddress(await load(env)), null));
}
