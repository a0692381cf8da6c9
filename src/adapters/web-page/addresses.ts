/**
 * Which addresses are on the public internet. Everything else could be this machine, its network, or a cloud's metadata
 * service, and is never connected to for a page's sake.
 */

import { BlockList, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

/** IANA's special-purpose registry for IPv4, as far as it is not globally reachable; multicast; what is reserved. */
const NOT_PUBLIC_V4 = [
  '0.0.0.0/8', // this network
  '10.0.0.0/8', // private
  '100.64.0.0/10', // carrier-grade NAT, where Alibaba has its metadata too
  '127.0.0.0/8', // loopback
  '168.63.129.16/32', // Azure's host, from within
  '169.254.0.0/16', // link-local, where most clouds have their metadata
  '172.16.0.0/12', // private
  '192.0.0.0/24', // protocol assignments
  '192.0.2.0/24', // documentation
  '192.88.99.0/24', // relays of 6to4
  '192.168.0.0/16', // private
  '198.18.0.0/15', // benchmarks
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
];

/** Of IPv6 only global unicast is public at all; loopback, mapped, compatible, unique and link-local lie outside of it. */
const GLOBAL_UNICAST = '2000::/3';
const NOT_PUBLIC_V6 = [
  '2001::/23', // protocol assignments: Teredo, benchmarks, ORCHID
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4: IPv4 addresses in disguise
  '3fff::/20', // documentation
];
/** RFC 6052: a network without IPv4 reaches it through these. What is not public there is not public here. */
const NAT64 = '64:ff9b::';

const hidden4 = listOf(NOT_PUBLIC_V4);
const global6 = listOf([GLOBAL_UNICAST]);
const hidden6 = listOf(NOT_PUBLIC_V6);
const nat64 = listOf([`${NAT64}/96`]);
const hiddenNat64 = listOf(
  NOT_PUBLIC_V4.map((range) => {
    const [address, bits] = range.split('/');
    return `${NAT64}${address}/${96 + Number(bits)}`;
  }),
);

function listOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', bits] = range.split('/');
    list.addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}

/** Whether an IP address is on the public internet, and not one of this machine's own. False for what is no address. */
export function isPublicAddress(address: string): boolean {
  if (isOwn(address)) return false;
  switch (isIP(address)) {
    case 4:
      return !hidden4.check(address, 'ipv4');
    case 6:
      if (nat64.check(address, 'ipv6')) return !hiddenNat64.check(address, 'ipv6');
      return global6.check(address, 'ipv6') && !hidden6.check(address, 'ipv6');
    default:
      return false;
  }
}

/** A machine may have a public address, behind which services listen that only a firewall keeps from the internet. */
function isOwn(address: string): boolean {
  return Object.values(networkInterfaces()).some((all) => all?.some((one) => one.address === address));
}
