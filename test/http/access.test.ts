import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AccessOptions, accessRules, isLoopback, judge, keyOf, preflightHeaders } from '../../src/http/access.ts';

const DEFAULTS: AccessOptions = { listen: ['127.0.0.1', '::1'], local: true, hosts: [], origins: [], publicUrl: null };
const HERE = { host: 'localhost:8000' };

describe('local mode', () => {
  const cases: [name: string, local: boolean, headers: Record<string, string>, options?: Partial<AccessOptions>][] = [
    ['localhost', true, HERE],
    ['127.0.0.1', true, { host: '127.0.0.1:8000' }],
    ['[::1]', true, { host: '[::1]:8000' }],
    ['no port', true, { host: 'localhost' }],
    ['[::1] without a port', true, { host: '[::1]' }],
    ['upper case', true, { host: 'LocalHost:8000' }],
    ['own origin', true, { ...HERE, origin: 'http://localhost:8000' }],
    ['own origin in upper case', true, { host: 'LOCALHOST:8000', origin: 'HTTP://localhost:8000' }],
    ['listed origin', true, { ...HERE, origin: 'http://app.test' }, { origins: ['http://app.test'] }],
    ['listed origin with a slash', true, { ...HERE, origin: 'http://app.test' }, { origins: ['http://App.test/'] }],
    ['Sec-Fetch-Site same-origin', true, { ...HERE, 'sec-fetch-site': 'same-origin' }],
    ['Sec-Fetch-Site none', true, { ...HERE, 'sec-fetch-site': 'none' }],
    [
      'listed origin, another site',
      true,
      { ...HERE, origin: 'http://app.test', 'sec-fetch-site': 'cross-site' },
      { origins: ['http://app.test'] },
    ],
    [
      'listed origin, another port',
      true,
      { ...HERE, origin: 'http://localhost:3000', 'sec-fetch-site': 'same-site' },
      { origins: ['http://localhost:3000'] },
    ],
    ['other proxies-like headers', true, { ...HERE, 'x-forward': '1', forwarded_for: 'x' }],
    ['any loopback address', true, HERE, { listen: ['127.0.0.2'] }],

    ['another host', false, { host: 'evil.test' }],
    ['a host that begins like ours', false, { host: 'localhost.evil.test' }],
    ['a host that ends like ours', false, { host: 'evil-localhost' }],
    ['a trailing dot', false, { host: 'localhost.:8000' }],
    ['another loopback name', false, { host: '127.0.0.2:8000' }],
    ['a listed host is allowed, but not local', false, { host: 'box.lan' }, { hosts: ['box.lan'] }],
    ['no host', false, {}],
    ['origin of another port', false, { ...HERE, origin: 'http://localhost:3000' }],
    ['origin with TLS', false, { ...HERE, origin: 'https://localhost:8000' }],
    ['origin null', false, { ...HERE, origin: 'null' }],
    ['origin by another name of ours', false, { ...HERE, origin: 'http://127.0.0.1:8000' }],
    ['Sec-Fetch-Site cross-site', false, { ...HERE, 'sec-fetch-site': 'cross-site' }],
    ['Sec-Fetch-Site same-site', false, { ...HERE, 'sec-fetch-site': 'same-site' }],
    [
      'an <img> on a page of a listed origin',
      false,
      { ...HERE, referer: 'http://app.test/', 'sec-fetch-site': 'cross-site' },
      { origins: ['http://app.test'] },
    ],
    [
      'listed origin behind a proxy',
      false,
      { ...HERE, origin: 'http://app.test', 'sec-fetch-site': 'cross-site', via: '1.1 proxy' },
      { origins: ['http://app.test'] },
    ],
    ['Forwarded', false, { ...HERE, forwarded: 'for=1.2.3.4' }],
    ['X-Forwarded-For', false, { ...HERE, 'x-forwarded-for': '1.2.3.4' }],
    ['X-Forwarded-Proto', false, { ...HERE, 'x-forwarded-proto': 'https' }],
    ['X-Forwarded-anything', false, { ...HERE, 'x-forwarded-whatever': '' }],
    ['X-Real-IP', false, { ...HERE, 'x-real-ip': '1.2.3.4' }],
    ['Via', false, { ...HERE, via: '1.1 proxy' }],
    ['PARLANCE_LOCAL=off', false, HERE, { local: false }],
    ['listening everywhere', false, HERE, { listen: ['0.0.0.0'] }],
    ['listening beside loopback', false, HERE, { listen: ['127.0.0.1', '192.168.1.5'] }],
    ['listening nowhere', false, HERE, { listen: [] }],
  ];
  for (const [name, local, headers, options] of cases) {
    test(`${name}: ${local ? 'local' : 'not local'}`, () => {
      assert.equal(judge(accessRules({ ...DEFAULTS, ...options }), headers).local, local);
    });
  }
});

describe('refused hosts and origins', () => {
  const cases: [
    name: string,
    refused: 'Host' | 'Origin' | null,
    headers: Record<string, string>,
    options?: Partial<AccessOptions>,
  ][] = [
    ['localhost', null, HERE],
    ['another host', 'Host', { host: 'evil.test:8000' }],
    ['no host', 'Host', {}],
    ['a listed host', null, { host: 'box.lan:8000' }, { hosts: ['box.lan'] }],
    ['a listed host and port', null, { host: 'box.lan:8000' }, { hosts: ['Box.lan:8000'] }],
    ['a listed host at another port', 'Host', { host: 'box.lan:9000' }, { hosts: ['box.lan:8000'] }],
    ['the public host', null, { host: 'chat.test' }, { publicUrl: 'https://chat.test' }],
    ['the public origin', null, { host: 'chat.test', origin: 'https://chat.test' }, { publicUrl: 'https://chat.test' }],
    ['any host where nothing is local', null, { host: 'evil.test' }, { local: false }],
    ['any host on a public address', null, { host: 'evil.test' }, { listen: ['0.0.0.0'] }],
    ['another origin', 'Origin', { ...HERE, origin: 'http://evil.test' }],
    ['another origin where nothing is local', 'Origin', { ...HERE, origin: 'http://evil.test' }, { local: false }],
    ['origin null', 'Origin', { ...HERE, origin: 'null' }],
    ['an origin that begins like ours', 'Origin', { ...HERE, origin: 'http://localhost:8000.evil.test' }],
    ['a listed origin', null, { ...HERE, origin: 'https://app.test' }, { origins: ['https://app.test'] }],
    [
      'a listed origin with another scheme',
      'Origin',
      { ...HERE, origin: 'http://app.test' },
      { origins: ['https://app.test'] },
    ],
    ['own origin behind TLS', null, { host: 'chat.test', origin: 'https://chat.test' }, { local: false }],
    ['a cross-site request without an origin', null, { ...HERE, 'sec-fetch-site': 'cross-site' }],
    ['both wrong: the host is named', 'Host', { host: 'evil.test', origin: 'http://evil.test' }],
  ];
  for (const [name, refused, headers, options] of cases) {
    test(`${name}: ${refused ?? 'not refused'}`, () => {
      const visit = judge(accessRules({ ...DEFAULTS, ...options }), headers);
      assert.equal(visit.refused?.header ?? null, refused);
    });
  }

  test('what is refused is named with its setting, as it was sent', () => {
    const rules = accessRules(DEFAULTS);
    assert.deepEqual(judge(rules, { host: 'Evil.test:1' }).refused, {
      header: 'Host',
      value: 'Evil.test:1',
      setting: 'PARLANCE_HOSTS',
    });
    assert.deepEqual(judge(rules, { ...HERE, origin: 'http://Evil.test' }).refused, {
      header: 'Origin',
      value: 'http://Evil.test',
      setting: 'PARLANCE_ORIGINS',
    });
  });
});

test('only a listed origin gets CORS headers', () => {
  const rules = accessRules({ ...DEFAULTS, origins: ['http://app.test'] });
  assert.equal(judge(rules, { ...HERE, origin: 'http://app.test' }).cors, 'http://app.test');
  assert.equal(judge(rules, { ...HERE, origin: 'http://localhost:8000' }).cors, null);
  assert.equal(judge(rules, { ...HERE, origin: 'http://evil.test' }).cors, null);
  assert.equal(judge(rules, HERE).cors, null);
});

test('a preflight allows what is documented and what was asked for, names only', () => {
  const allowed = preflightHeaders({ 'access-control-request-headers': 'X-Stainless-OS, bad name, authorization' });
  const names = allowed['access-control-allow-headers']?.split(', ') ?? [];
  for (const name of [
    'authorization',
    'content-type',
    'idempotency-key',
    'x-user-id',
    'last-event-id',
    'x-stainless-os',
  ]) {
    assert.equal(names.filter((other) => other === name).length, 1, name);
  }
  assert.ok(!names.some((name) => name.includes(' ')));
  assert.equal(allowed['access-control-allow-methods'], 'GET, POST, PUT, PATCH, DELETE');
});

describe('keys', () => {
  const cases: [string | undefined, string | null][] = [
    [undefined, null],
    ['', null],
    ['   ', null],
    ['Bearer', null],
    ['Bearer ', null],
    ['Bearer plk_a', 'plk_a'],
    ['bearer plk_a', 'plk_a'],
    ['BEARER   plk_a  ', 'plk_a'],
    ['plk_a', 'plk_a'],
    [' plk_a ', 'plk_a'],
    ['Bearerplk_a', 'Bearerplk_a'],
    ['Basic dTpw', 'Basic dTpw'],
  ];
  for (const [header, key] of cases) {
    test(`${JSON.stringify(header)} is ${JSON.stringify(key)}`, () => assert.equal(keyOf(header), key));
  }
});

test('loopback addresses', () => {
  for (const address of ['127.0.0.1', '127.8.9.10', '::1', 'localhost']) assert.ok(isLoopback(address), address);
  for (const address of ['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.evil.test', '1127.0.0.1', '']) {
    assert.ok(!isLoopback(address), address);
  }
});
