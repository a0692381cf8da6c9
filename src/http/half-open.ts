/**
 * Peers that are gone without a word. Their connection looks open until the kernel stops sending again what nobody
 * acknowledges, which takes it some 15 minutes, and Node cannot shorten that. Linux tells in `/proc/net/tcp` how often it
 * has sent again. Elsewhere nobody is found here, and the kernel's own time counts.
 */

import { readFile } from 'node:fs/promises';
import { type Socket, SocketAddress } from 'node:net';
import { endianness } from 'node:os';

const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'];
/** Sent again so often in a row, each time after twice as long: nothing was acknowledged for a second and a half, at least. */
const SENT_AGAIN = 3;

/** One end of a connection, as both Node and the kernel know it. */
export function peerOf(socket: Pick<Socket, 'remoteAddress' | 'remotePort' | 'localPort'>): string {
  return nameOf(socket.remoteAddress ?? '', socket.remotePort ?? 0, socket.localPort ?? 0);
}

/** The peers, as `peerOf` names them, that acknowledge nothing of what they are sent. */
export async function findUnanswered(): Promise<ReadonlySet<string>> {
  const tables = await Promise.all(TABLES.map((table) => readFile(table, 'latin1').catch(() => '')));
  return new Set(tables.flatMap(unansweredOf));
}

/**
 * A line is `sl: local remote state tx:rx timer:when sent-again …`, addresses and numbers in hexadecimal. With 10,000
 * connections it is one of 10,000, so only what stands at the place of a number that is not zero is taken apart.
 */
export function unansweredOf(table: string): string[] {
  const found: string[] = [];
  for (const [, local = '', remote = '', sentAgain = ''] of table.matchAll(UNANSWERED)) {
    if (Number.parseInt(sentAgain, 16) < SENT_AGAIN) continue;
    const [address = '', port = ''] = remote.split(':');
    found.push(nameOf(addressOf(address), Number.parseInt(port, 16), Number.parseInt(local.slice(-4), 16)));
  }
  return found;
}

/** Established (`01`), and sent again at least once. */
const UNANSWERED = /: ([0-9A-F]+:[0-9A-F]{4}) ([0-9A-F]+:[0-9A-F]{4}) 01 \S+ \S+ (?!00000000)([0-9A-F]{8}) /g;

function nameOf(address: string, port: number, localPort: number): string {
  return `${address} ${port} ${localPort}`;
}

/** Four or sixteen bytes, each four of them in the order of this machine. */
function addressOf(hex: string): string {
  const bytes = Buffer.from(hex, 'hex');
  if (endianness() === 'LE') bytes.swap32();
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16));
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address;
}
