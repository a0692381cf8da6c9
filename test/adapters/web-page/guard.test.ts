/** What may be connected to for a page's sake: QUALITY.md, section 2, "web search and page reading towards …". */

import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { isPublicAddress } from '../../../src/adapters/web-page/addresses.ts';
import type { Lookup } from '../../../src/adapters/web-page/guarded-fetch.ts';
import { createPageReader } from '../../../src/adapters/web-page/page-reader.ts';
import { page, startWeb, type Web } from '../../support/web.ts';

const never = new AbortController().signal;

describe('an address', () => {
  const hidden =
    `127.0.0.1 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 169.254.169.254 172.16.0.1
    172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1
    239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16 :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:a9fe:a9fe ::ffff:8.8.8.8
    64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b::10.0.0.1 64:ff9b:1::1 100::1 2001::1 2001:db8::1 2002:7f00:1:: 2002:808:808::
    3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1`.split(/\s+/);
  for (const address of hidden) test(`${address} is not public`, () => assert.equal(isPublicAddress(address), false));
  for (const address of ['8.8.8.8', '1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '64:ff9b::8.8.8.8']) {
    test(`${address} is public`, () => assert.equal(isPublicAddress(address), true));
  }
  test('of this machine itself is not public', () => {
    for (const { address } of Object.values(networkInterfaces()).flatMap((all) => all ?? [])) {
      assert.equal(isPublicAddress(address), false, address);
    }
  });
  test('that is none is not public', () => {
    fc.assert(fc.property(fc.string(), (text) => !isPublicAddress(`x${text}`)));
  });
});

describe('page reading', () => {
  let web: Web;
  /** Listens where nothing may ever come. */
  let canary: Server;
  let touched = 0;
  let port = 0;

  before(async () => {
    web = await startWeb();
    canary = createServer((socket) => {
      touched++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => canary.listen(0, resolve));
    port = (canary.address() as { port: number }).port;
  });
  after(() => {
    web.close();
    canary.close();
  });

  async function refusal(url: string, lookup?: Lookup): Promise<string> {
    const reader = createPageReader({ allow: [web.host], robots: false, ...(lookup && { lookup }) });
    try {
      const read = await reader.read(url, '', never);
      return `READ: ${JSON.stringify(read)}`;
    } catch (error) {
      return (error as Error).message;
    } finally {
      await reader.close();
    }
  }

  const PUBLIC = 'It is not on the public internet.';
  /** `PORT` is the canary's, and a refusal for the port alone would prove nothing: each is tried without one too. */
  const corpus: [url: string, says: string | RegExp][] = [
    ['http://127.0.0.1/', PUBLIC],
    ['http://localhost/', PUBLIC],
    ['http://localhost./', /not on the public internet|name/],
    ['http://foo.localhost/', /not on the public internet|name/],
    ['http://[::1]/', PUBLIC],
    ['http://[::]/', PUBLIC],
    ['http://0.0.0.0/', PUBLIC],
    ['http://0/', PUBLIC],
    ['http://169.254.169.254/latest/meta-data/', PUBLIC],
    ['http://[::ffff:a9fe:a9fe]/', PUBLIC],
    ['http://[::ffff:127.0.0.1]/', PUBLIC],
    ['http://[64:ff9b::7f00:1]/', PUBLIC],
    ['http://[2002:7f00:1::]/', PUBLIC],
    ['http://[fe80::1]/', PUBLIC],
    ['http://[fd00:ec2::254]/', PUBLIC],
    ['http://2852039166/', PUBLIC],
    ['http://0x7f.1/', PUBLIC],
    ['http://0177.0.0.1/', PUBLIC],
    ['http://127.1/', PUBLIC],
    ['http://１２７.0.0.1/', PUBLIC],
    ['http://10.0.0.1/', PUBLIC],
    ['http://192.168.0.1/', PUBLIC],
    ['https://172.16.0.1/', PUBLIC],
    ['http://127.0.0.1:PORT/', /Port/],
    ['http://[::1]:PORT/', /Port/],
    ['https://127.0.0.1:PORT/', /Port/],
    ['http://example.com:22/', /Port 22/],
    ['http://user@example.com/', /user name/],
    ['http://user:pass@127.0.0.1:PORT/', /user name/],
    ['http://:@127.0.0.1:PORT/', /Port|user name/],
    ['file:///etc/passwd', /no http/],
    ['ftp://127.0.0.1:PORT/', /no http/],
    ['gopher://127.0.0.1:PORT/', /no http/],
    ['data:text/html,<p>hello', /no http/],
    ['javascript:alert(1)', /no http/],
    ['//127.0.0.1:PORT/', /no address/],
    ['http://', /no address/],
    ['', /no address/],
    [`http://127.0.0.1:PORT/${'x'.repeat(3000)}`, /characters/],
  ];
  for (const [url, says] of corpus) {
    test(`refuses ${url.slice(0, 60) || 'nothing at all'}`, async () => {
      const said = await refusal(url.replaceAll('PORT', String(port)));
      if (typeof says === 'string') assert.equal(said, says);
      else assert.match(said, says);
      assert.ok(!said.startsWith('READ'), said);
      assert.equal(touched, 0);
    });
    test(`refuses to be led on to ${url.slice(0, 60) || 'nothing at all'}`, async () => {
      web.pages['/on'] = (_, response) => {
        response
          .writeHead(302, { location: Buffer.from(url.replaceAll('PORT', String(port))).toString('latin1') })
          .end();
      };
      const said = await refusal(web.at('/on'));
      assert.ok(!said.startsWith('READ'), said);
      assert.equal(touched, 0);
    });
  }

  const hosts: [what: string, addresses: string[]][] = [
    ['a private address', ['10.0.0.1']],
    ['this machine', ['127.0.0.1']],
    ['this machine, in IPv6', ['::1']],
    ['this machine, mapped', ['::ffff:127.0.0.1']],
    ['a public address and this machine', ['93.184.216.34', '127.0.0.1']],
    ['nothing', []],
  ];
  for (const [what, addresses] of hosts) {
    for (const scheme of ['http', 'https']) {
      test(`refuses a name that stands for ${what}, by ${scheme}`, async () => {
        const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
        assert.equal(await refusal(`${scheme}://rebind.example/`, async () => found), PUBLIC);
        assert.equal(touched, 0);
      });
    }
  }

  test('asks for a name once, and connects to what it then stood for: a name that changes its mind gains nothing', async () => {
    let lookups = 0;
    const lookup: Lookup = async () => [{ address: lookups++ === 0 ? '93.184.216.34' : '127.0.0.1', family: 4 }];
    const stop = new AbortController();
    const reader = createPageReader({ allow: [], robots: false, lookup });
    const reading = reader.read('http://rebind.example/', '', stop.signal);
    // The connection to the public address is under way, or refused by this machine's network.
    setImmediate(() => stop.abort());
    await assert.rejects(reading, /given up|cannot be reached/);
    assert.equal(lookups, 1);
    assert.equal(touched, 0);
    await reader.close();
  });

  test('checks every hop anew: a name may be led on from, and is refused when it stands for something else', async () => {
    web.pages['/away'] = (_, response) => response.writeHead(301, { location: 'http://rebind.example/' }).end();
    assert.equal(await refusal(web.at('/away'), async () => [{ address: '127.0.0.1', family: 4 }]), PUBLIC);
    assert.equal(touched, 0);
  });

  test('reads what is allowed by name and port, and nothing else of that host', async () => {
    web.pages['/'] = page('Inside', 'An inner page.');
    const reader = createPageReader({ allow: [web.host], robots: false });
    assert.equal((await reader.read(web.at('/'), '', never)).title, 'Inside');
    await assert.rejects(reader.read(`http://127.0.0.1:${port}/`, '', never), /Port/);
    await reader.close();
    assert.equal(touched, 0);
  });

  test('goes out directly, whatever the proxy of the environment', async () => {
    const before = process.env.HTTP_PROXY;
    process.env.HTTP_PROXY = `http://127.0.0.1:${port}`;
    try {
      web.pages['/'] = page('Inside', 'An inner page.');
      assert.match(await refusal(web.at('/')), /^READ/);
    } finally {
      if (before === undefined) delete process.env.HTTP_PROXY;
      else process.env.HTTP_PROXY = before;
    }
    assert.equal(touched, 0);
  });
});
