/**
 * Promise 1, for a power cut: the system calls of a real server are traced and played back to a disk that keeps only what
 * was synced (see torture/trace.ts). Without `strace`, or where tracing is not allowed, these are skipped and say so.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { losePower } from '../../torture/scenarios/fsync.ts';
import { preload } from '../../torture/stage.ts';
import { parseTrace, whyNoTrace } from '../../torture/trace.ts';

const why = whyNoTrace();

describe('A power cut at the moment of an acknowledgement', { skip: why ?? false }, () => {
  it('loses no message and no run: each is synced before the first byte of its answer', async () => {
    const { acknowledged, streams, lost } = await losePower(10);
    assert.deepEqual({ acknowledged, streams, lost }, { acknowledged: 80, streams: 5, lost: [] });
  });

  it('is seen to lose them where the database is not synced: the check can fail', async () => {
    const { acknowledged, lost } = await losePower(10, preload('sync-normal'));
    assert.equal(acknowledged, 80);
    assert(lost.length >= 80, `only ${lost.length} of 85 were lost with synchronous=NORMAL`);
  });
});

describe('A trace', () => {
  it('is read with calls of two threads in each other: what is stored counts when the call is back', () => {
    const file = [...'/d/parlance.db-wal'].map((char) => `\\x${char.charCodeAt(0).toString(16)}`).join('');
    const socket = [...'socket:[7]'].map((char) => `\\x${char.charCodeAt(0).toString(16)}`).join('');
    const ops = parseTrace(
      [
        `12 pwrite64(22<${file}>, "\\x61\\x62", 2, 4096 <unfinished ...>`,
        `11 write(25<${socket}>, "\\x48\\x69", 2 <unfinished ...>`,
        '12 <... pwrite64 resumed>) = 2',
        '11 <... write resumed>) = 2',
        `12 fsync(22<${file}> <unfinished ...>`,
        `11 writev(25<${socket}>, [{iov_base="\\x48", iov_len=1}, {iov_base="\\x6f", iov_len=1}], 2) = 2`,
        '12 <... fsync resumed>) = 0',
        `12 fdatasync(22<${file}>) = -1 EIO (Input/output error)`,
        `12 ftruncate(22<${file}>, 32) = 0`,
        '12 +++ killed by SIGKILL +++',
      ].join('\n'),
    );
    assert.deepEqual(ops, [
      { kind: 'send', bytes: Buffer.from('Hi') },
      { kind: 'write', file: '/d/parlance.db-wal', at: 4096, bytes: Buffer.from('ab') },
      { kind: 'send', bytes: Buffer.from('Ho') },
      { kind: 'sync', file: '/d/parlance.db-wal' },
      { kind: 'truncate', file: '/d/parlance.db-wal', size: 32 },
    ]);
  });
});
