/** The route tables of all dialects as one: who answers which path and method, and who refuses the rest. */

import { METHODS } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify';
import { bodyRules } from './body.ts';
import type { Bucket, DeadEnd, Endpoint, Exchanges } from './exchange.ts';
import type { Metrics } from './metrics.ts';
import type { Dialect, Route } from './route.ts';
import { createSocketServer } from './websocket.ts';

/** One path, however its parameters are called. */
interface Path {
  /** Whose error shape its refusals have. */
  dialect: Dialect;
  /** Spelling → method → route. */
  spellings: Map<string, Map<string, Route>>;
  owners: Map<Route, Dialect>;
}

/** Who claims a path: the dialect with the longest claim, else `fallback`. Takes a request target. */
export function claimsOf(dialects: readonly Dialect[], fallback: Dialect): (target: string) => Dialect {
  const claims = dialects
    .flatMap((dialect) => dialect.claims.map((claim) => ({ dialect, claim })))
    .sort((a, b) => b.claim.length - a.claim.length);
  return (target) => {
    const path = decodePath(target.split(/[?#]/, 1)[0] ?? '');
    return claims.find(({ claim }) => path === claim || path.startsWith(`${claim}/`))?.dialect ?? fallback;
  };
}

/**
 * Registers every route, and a refusal for every other method of each path. A claim is a path too, so that another
 * dialect's parameter does not take it for a value. Returns what answers where there is no path at all.
 */
export function registerRoutes(
  app: FastifyInstance,
  dialects: readonly Dialect[],
  parts: { exchanges: Exchanges; metrics: Metrics; maxBody: number },
): (dialect: Dialect) => DeadEnd {
  const { exchanges, metrics } = parts;
  const methods = METHODS.filter((method) => method !== 'CONNECT');
  // Bodies are read by `readBody`, in the order of refusals; Fastify is told that there are none.
  for (const method of methods) app.addHttpMethod(method, { hasBody: false, overrideExisting: true });

  const unknown = new Map<Dialect, DeadEnd>();
  for (const dialect of dialects) {
    unknown.set(dialect, { dialect, allow: [], meter: metrics.meter(dialect.name, 'any', 'unknown') });
  }
  for (const [pattern, path] of pathsOf(dialects)) {
    const allow: string[] = [];
    for (const [url, routes] of path.spellings) {
      for (const [method, route] of routes) {
        const endpoint = endpointOf(path.owners.get(route) ?? path.dialect, route, parts);
        allow.push(method);
        app.route({
          method: method as HTTPMethods,
          url,
          handler: (request, reply) => void exchanges.serve(endpoint, request, reply),
        });
      }
    }
    const { dialect } = path;
    const end: DeadEnd = { dialect, allow: allow.sort(), meter: metrics.meter(dialect.name, 'any', pattern) };
    app.route({
      method: methods.filter((method) => !allow.includes(method)) as HTTPMethods[],
      url: path.spellings.keys().next().value ?? pattern,
      handler: (request: FastifyRequest, reply: FastifyReply) => void exchanges.refuse(end, request, reply),
    });
  }
  return (dialect) => unknown.get(dialect) as DeadEnd;
}

/** All paths of all tables, by their pattern with nameless parameters. Throws where two routes are the same. */
function pathsOf(dialects: readonly Dialect[]): Map<string, Path> {
  const paths = new Map<string, Path>();
  for (const dialect of dialects) {
    for (const route of dialect.routes) {
      const path = pathOf(route.path, dialect);
      const method = route.method === 'SOCKET' ? 'GET' : route.method;
      const known = [...path.spellings.values()].some((routes) => routes.has(method));
      if (known) throw new Error(`Two routes for ${method} ${route.path}`);
      spellingOf(path, route.path).set(method, route);
      path.owners.set(route, dialect);
    }
  }
  for (const dialect of dialects) {
    for (const claim of dialect.claims) spellingOf(pathOf(claim, dialect), claim);
  }
  return paths;

  function pathOf(url: string, dialect: Dialect): Path {
    const pattern = url.replace(/:[^/]+/g, ':');
    let path = paths.get(pattern);
    if (path === undefined) {
      path = { dialect, spellings: new Map(), owners: new Map() };
      paths.set(pattern, path);
    }
    return path;
  }
}

function spellingOf(path: Path, url: string): Map<string, Route> {
  let routes = path.spellings.get(url);
  if (routes === undefined) {
    routes = new Map();
    path.spellings.set(url, routes);
  }
  return routes;
}

function endpointOf(dialect: Dialect, route: Route, parts: { metrics: Metrics; maxBody: number }): Endpoint {
  return {
    dialect,
    route,
    body: bodyRules(route.method === 'SOCKET' ? {} : route, parts.maxBody),
    bucket: bucketOf(dialect, route),
    meter: parts.metrics.meter(dialect.name, route.method, route.path),
    sockets: route.method === 'SOCKET' ? createSocketServer(route.maxFrame) : null,
  };
}

/** "In dialects 0–4 everything counts; in the standards what can start a run, the rest has a bucket of its own." */
function bucketOf(dialect: Dialect, route: Route): Bucket | null {
  if (route.method === 'SOCKET') return 'run';
  if (route.counts === 'none') return null;
  return dialect.standard === true && route.counts === 'other' ? 'light' : 'run';
}

function decodePath(path: string): string {
  try {
    return decodeURI(path);
  } catch {
    return path;
  }
}
