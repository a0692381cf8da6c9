/** "Ping every 20 s; a peer silent for 45 s is closed." Both are waited for beside each other; no clock but the server's. */

import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import { closeSockets, openSocket } from '../../support/socket.ts';
import { useServer } from '../../support/use-server.ts';

const { server } = await useServer();
after(closeSockets);

it('a socket is pinged every 20 s, closed when silent for 45 s, and kept when it answers', async () => {
  const silent = await openSocket(server.url, '/ws?user_id=silent', { autoPong: false });
  const quiet = await openSocket(server.url, '/ws?user_id=quiet');
  const opened = performance.now();
  const pings: number[] = [];
  quiet.ws.on('ping', () => pings.push(performance.now() - opened));
  const { code } = await silent.closed;
  const closed = performance.now() - opened;
  assert.equal(code, 1006, 'it does not hear a goodbye either');
  assert.ok(closed > 40_000 && closed < 50_000, `closed after ${closed} ms`);
  assert.equal(pings.length, 2);
  for (const [i, at] of pings.entries()) {
    assert.ok(Math.abs(at - (i + 1) * 20_000) < 4_000, `ping ${i + 1} after ${at} ms`);
  }
  quiet.send({ type: 'message', content: 'Still here.' });
  assert.equal((await quiet.next()).content, 'You said: Still here.');
});
