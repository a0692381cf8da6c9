import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { endianness } from 'node:os';
import { test } from 'node:test';
import { findUnanswered, peerOf, unansweredOf } from '../../src/http/half-open.ts';
import { route } from '../../src/http/route.ts';
import { dialect, open, serve, settled, until } from './serve.ts';

const HEAD = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const line = (local: string, remote: string, state: string, sentAgain: string) =>
  ` 123: ${local} ${remote} ${state} 0000000C:00000000 01:0000000C ${sentAgain}     0        0 931048 2 00000000b6529001 100 0 0 10 0\n`;

test('the table of the kernel names the peers it sent the same to again and again', {
  skip: endianness() !== 'LE',
}, () => {
  const table = [
    HEAD,
    line('0100007F:8CA5', '0100007F:E8D2', '01', '00000000'),
    line('0100007F:8CA5', '0200A8C0:E8D3', '01', '00000003'),
    line('0100007F:8CA5', '0200A8C0:E8D4', '01', '00000002'),
    line('0100007F:8CA5', '0200A8C0:E8D5', '04', '00000009'),
    line('0100007F:8CA5', '0200A8C0:E8D6', '01', '0000000A'),
  ].join('');
  assert.deepEqual(unansweredOf(table), ['192.168.0.2 59603 36005', '192.168.0.2 59606 36005']);
  const six = line('00000000000000000000000001000000:1F40', 'B80D0120000000000000000001000000:E8D2', '01', '00000005');
  const mapped = line(
    '0000000000000000FFFF00000100007F:1F40',
    '0000000000000000FFFF00000200A8C0:E8D2',
    '01',
    '00000005',
  );
  assert.deepEqual(unansweredOf(HEAD + six + mapped), ['2001:db8::1 59602 8000', '::ffff:192.168.0.2 59602 8000']);
});

test('a peer is named as the kernel names it, and one that answers is not found', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as { port: number }).port, '127.0.0.1');
  const [[socket]] = await Promise.all([once(server, 'connection'), once(client, 'connect')]);
  assert.equal(peerOf(socket), `127.0.0.1 ${client.localPort} ${client.remotePort}`);
  assert.equal((await findUnanswered()).has(peerOf(socket)), false);
  client.destroy();
  socket.destroy();
  server.close();
});

test('a stream whose peer acknowledges nothing for 20 s is cut off; one that answers in between, or at all, is not', async () => {
  const gone = new Set<string>();
  const opened: string[] = [];
  const stopped: string[] = [];
  const table = dialect([
    route({
      method: 'GET',
      path: '/t/stream',
      summary: 'A stream',
      scope: 'read',
      counts: 'other',
      answers: [],
      async handle({ headers }) {
        const name = String(headers['x-name']);
        return {
          stream() {
            opened.push(name);
            return { resume: () => {}, stop: () => void stopped.push(name) };
          },
        };
      },
    }),
  ]);
  const served = await serve({ dialects: [table], findUnanswered: async () => gone });
  const follow = async (name: string) => {
    const socket = await open(served, `GET /t/stream HTTP/1.1\r\nHost: localhost\r\nX-Name: ${name}\r\n\r\n`);
    await until(() => opened.includes(name), 'the stream is open');
    return socket;
  };
  const [deaf, dozing, awake] = [await follow('deaf'), await follow('dozing'), await follow('awake')];
  const nameOf = ({ localPort }: typeof deaf) => `127.0.0.1 ${localPort} ${served.port}`;
  const wait = async (seconds: number) => {
    for (let i = 0; i < seconds / 2.5; i++) {
      served.clock.move(2500);
      await settled();
    }
  };
  await wait(10);
  gone.add(nameOf(deaf)).add(nameOf(dozing));
  await wait(15);
  gone.delete(nameOf(dozing));
  await wait(5);
  gone.add(nameOf(dozing));
  assert.deepEqual(stopped, []);
  await wait(5);
  await until(() => stopped.length > 0, 'the deaf one is cut off');
  await wait(10);
  assert.deepEqual(stopped, ['deaf']);
  for (const socket of [deaf, dozing, awake]) socket.destroy();
});
