/**
 * How the text of a setting is read. A parser gives a value or throws `Wrong`, whose sentence goes on from the setting's
 * name. It never holds the text itself: a key may have been pasted into the wrong line.
 */

import { isIP } from 'node:net';

/** @param text trimmed, not empty */
export type Parser<T> = (text: string) => T;

export class Wrong extends Error {}

export const text: Parser<string> = (given) => given;

export const onOff: Parser<boolean> = (given) => {
  if (given !== 'on' && given !== 'off') throw new Wrong('must be on or off.');
  return given === 'on';
};

export function oneOf<const T extends string>(...values: T[]): Parser<T> {
  return (given) => {
    const value = values.find((one) => one === given);
    if (value === undefined) throw new Wrong(`must be one of ${values.join(', ')}.`);
    return value;
  };
}

export function integer(min: number, max: number): Parser<number> {
  return (given) => {
    const value = /^\d{1,15}$/.test(given) ? Number(given) : Number.NaN;
    if (!(value >= min && value <= max)) throw new Wrong(`must be a whole number from ${min} to ${max}.`);
    return value;
  };
}

/** Seconds, with decimals where wanted, as milliseconds. */
export function seconds(max: number): Parser<number> {
  return (given) => {
    const value = /^\d{1,9}(\.\d{1,6})?$/.test(given) ? Math.round(Number(given) * 1000) : 0;
    if (value < 1 || value > max * 1000) throw new Wrong(`must be a number of seconds above 0 and up to ${max}.`);
    return value;
  };
}

const UNITS: Record<string, number> = {
  '': 1,
  b: 1,
  kb: 1000,
  mb: 1000 ** 2,
  gb: 1000 ** 3,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
};

/** Bytes: `8388608`, `8192KiB`, `8 MiB`. */
export function size(min: number, max: number): Parser<number> {
  return (given) => {
    const [, number, unit = ''] = /^(\d{1,12}(?:\.\d{1,3})?) ?([A-Za-z]{0,3})$/.exec(given) ?? [];
    const value = Math.floor(Number(number) * (UNITS[unit.toLowerCase()] ?? Number.NaN));
    if (!(value >= min && value <= max)) {
      throw new Wrong(`must be a size such as 8MiB or 512KiB, from ${min} to ${max} bytes.`);
    }
    return value;
  };
}

/** Entries between commas, white space and empty ones aside. */
function list<T>(parse: Parser<T>): Parser<T[]> {
  return (given) =>
    given
      .split(',')
      .map((entry) => entry.trim())
      .filter((entry) => entry !== '')
      .map(parse);
}

const NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*\.?$/;

/** What to listen on. `localhost` is both of its addresses. */
export const addresses: Parser<string[]> = (given) => {
  const all = list((entry) => {
    const bare = entry.replace(/^\[(.*)\]$/, '$1').toLowerCase();
    if (bare === 'localhost') return ['127.0.0.1', '::1'];
    if (isIP(bare) === 0 && !NAME.test(bare)) {
      throw new Wrong('must be an address to listen on, such as 127.0.0.1, ::1 or 0.0.0.0; the port is set by PORT.');
    }
    return [bare];
  })(given);
  const unique = [...new Set(all.flat())];
  if (unique.length === 0) throw new Wrong('must name an address to listen on.');
  return unique;
};

/** Names as in a Host header, with or without a port. */
export const hosts: Parser<string[]> = list((entry) => {
  const host = entry.toLowerCase();
  const [, name = '', port = '1'] = /^(\[[0-9a-f:.]+\]|[^:]+)(?::(\d{1,5}))?$/.exec(host) ?? [];
  const address = name.startsWith('[') ? isIP(name.slice(1, -1)) === 6 : NAME.test(name);
  if (!address || Number(port) < 1 || Number(port) > 65_535) {
    throw new Wrong('must list hosts such as chat.example.com or chat.example.com:8443, without http://.');
  }
  return host;
});

/** Hosts, each with its port. */
export const hostPorts: Parser<string[]> = (given) => {
  const all = hosts(given);
  if (all.some((entry) => !/:\d+$/.test(entry.replace(/^\[.*\]/, '')))) {
    throw new Wrong('must list hosts with their ports, such as wiki.example.com:443 or [::1]:8080.');
  }
  return all;
};

/** An http(s) URL without credentials, query or fragment; without a slash at its end. */
export const url: Parser<string> = (given) => {
  const parsed = URL.canParse(given) ? new URL(given) : null;
  if (parsed === null || !/^https?:$/.test(parsed.protocol) || parsed.hostname === '') {
    throw new Wrong('must be an http or https URL.');
  }
  if (parsed.username !== '' || parsed.password !== '') throw new Wrong('must not hold a user name or a password.');
  if (parsed.search !== '' || parsed.hash !== '') throw new Wrong('must be a URL without "?" and "#".');
  return parsed.href.replace(/\/+$/, '');
};

/** Scheme, host and port of a page. */
export const origin: Parser<string> = (given) => {
  const href = originUrl(given);
  if (href === null) throw new Wrong('must be an origin such as https://chat.example.com, without a path.');
  return href;
};

export const origins: Parser<string[]> = list((entry) => {
  const href = originUrl(entry);
  if (href === null) throw new Wrong('must list origins such as https://app.example.com one by one, without a path.');
  return href;
});

function originUrl(given: string): string | null {
  const parsed = URL.canParse(given) ? new URL(given) : null;
  const bare = parsed !== null && `${parsed.origin}/` === parsed.href && /^https?:$/.test(parsed.protocol);
  return bare ? parsed.origin : null;
}

/** Addresses of proxies, one by one or as address/bits. */
export const networks: Parser<string[]> = list((entry) => {
  const [, address = '', bits = '0'] = /^([0-9a-f.:]+)(?:\/(\d{1,3}))?$/i.exec(entry) ?? [];
  const version = isIP(address);
  if (version === 0 || Number(bits) > (version === 4 ? 32 : 128)) {
    throw new Wrong('must list addresses such as 10.0.0.7 or networks such as 10.0.0.0/8.');
  }
  return entry.toLowerCase();
});

export const ownerKey: Parser<string> = (given) => {
  if (!/^plk_[\x21-\x7e]{32,252}$/.test(given)) {
    throw new Wrong('must be "plk_" and at least 32 characters, without spaces.');
  }
  return given;
};

/** A setting of a version that is yet to come. */
export function refused(sentence: string): Parser<never> {
  return () => {
    throw new Wrong(`is not supported yet. ${sentence}`);
  };
}

const OLLAMA_PORT = '11434';

/**
 * `OLLAMA_HOST` as Ollama reads it (its `envconfig.Host`): host, port, both, or a URL; quotes are ignored; the port is
 * 11434, but 80 or 443 behind a scheme; one that is no port is the default. The address to listen on everywhere, which
 * the same variable means to its server, is reached at loopback.
 */
export const ollamaHost: Parser<string> = (given) => {
  const bare = given.replace(/^["'\s]+|["'\s]+$/g, '');
  const [, scheme = 'http', rest = ''] = /^(?:([a-z]+):\/\/)?(.*)$/i.exec(bare) ?? [];
  if (!/^https?$/.test(scheme) || /[@?#\s]/.test(rest)) {
    throw new Wrong('must be as Ollama takes it: a host, host:port or an http or https URL, without a password.');
  }
  const byScheme = scheme === 'https' ? '443' : '80';
  const byDefault = bare.includes('://') ? byScheme : OLLAMA_PORT;
  const [hostport = '', ...path] = rest.split('/');
  const [, host = hostport, port = byDefault] = /^(\[.*\]|[^:]*):([^:]*)$/.exec(hostport) ?? [];
  const name = host.replace(/^\[(.*)\]$/, '$1');
  const known = /^\d{1,5}$/.test(port) && Number(port) <= 65_535 ? port : byDefault;
  const reached = name === '' || name === '0.0.0.0' ? '127.0.0.1' : name === '::' ? '::1' : name;
  const href = `${scheme}://${reached.includes(':') ? `[${reached}]` : reached}:${known}/${path.join('/')}`;
  if (!URL.canParse(href)) throw new Wrong('must be as Ollama takes it: a host, host:port or an http or https URL.');
  return new URL(href).href.replace(/\/+$/, '');
};

/** Whether a URL's host is this machine, also where it is the address to listen on everywhere. */
export function isLoopbackName(hostname: string): boolean {
  return /^(localhost|.*\.localhost|127(\.\d{1,3}){3}|0\.0\.0\.0|\[::1?\]|\[::ffff:7f00:1\])$/.test(hostname);
}
