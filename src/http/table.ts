/** The route tables of all dialects as one: who answers which path and method, and who refuses the rest. */

import { METHODS } from 'node:http';
import type { FastifyInstance, HTTPMethods } from 'fastify';
import { bodyRules } from './body.ts';
import type { Bucket } from './gate.ts';
import type { Metrics } from './metrics.ts';
import type { Dialect, Route } from './route.ts';
import type { DeadEnd, Endpoint, Serve } from './serve.ts';
import { createSocketServer } from './websocket.ts';

/** One path, however its parameters are spelled. */
interface Path {
  /** Its segments; `:` for a parameter. */
  segments: string[];
  /** A spelling, for Fastify. */
  url: string;
  routes: Map<string, { dialect: Dialect; route: Route }>;
  /** Whose error shape its refusals have. */
  dialect: Dialect;
}

/**
 * Registers every route. Returns what refuses a request that no route takes, by its target: the path's own refusal (405),
 * or that of the dialect with the longest claim, or `fallback`'s (404). Throws where two routes are the same.
 */
export function registerRoutes(
  app: FastifyInstance,
  dialects: readonly Dialect[],
  parts: { serve: Serve; metrics: Metrics; maxBody: number; fallback: Dialect },
): (target: string) => DeadEnd {
  const { serve, metrics } = parts;
  for (const method of METHODS) {
    // Bodies are read by `readBody`, in the order of refusals; Fastify is told that there are none.
    if (method !== 'CONNECT') app.addHttpMethod(method, { hasBody: false, overrideExisting: true });
  }
  const unknown = claimsOf(dialects, parts);
  const paths = pathsOf(dialects);
  const ends = paths.map((path) => {
    const { dialect, routes, segments } = path;
    const meter = metrics.meter(dialect.name, 'any', routes.size === 0 ? 'unknown' : segments.join('/'));
    const end: DeadEnd = { dialect, allow: [...routes.keys()].sort(), meter };
    for (const [method, { dialect: owner, route }] of routes) {
      const endpoint = endpointOf(owner, route, parts);
      app.route({
        method: method as HTTPMethods,
        url: route.path,
        handler: (request, reply) => void serve.serve(endpoint, request, reply),
      });
    }
    for (const method of takenByOthers(path, paths)) {
      app.route({
        method: method as HTTPMethods,
        url: path.url,
        handler: (request, reply) => void serve.refuse(end, request, reply),
      });
    }
    return { segments, end };
  });

  return (target) => {
    const path = pathOf(target);
    const segments = path.split('/');
    return ends.find((known) => matches(known.segments, segments))?.end ?? unknown(path);
  };
}

/** All paths of all tables, the more literal ones first. A claim is a path too, if only to be refused. */
function pathsOf(dialects: readonly Dialect[]): Path[] {
  const paths = new Map<string, Path>();
  for (const dialect of dialects) {
    for (const route of dialect.routes) {
      const { routes } = path(route.path, dialect);
      const method = route.method === 'SOCKET' ? 'GET' : route.method;
      if (routes.has(method)) throw new Error(`Two routes for ${method} ${route.path}`);
      routes.set(method, { dialect, route });
    }
  }
  for (const dialect of dialects) for (const claim of dialect.claims) path(claim, dialect);
  return [...paths.values()].sort((a, b) => rank(a) - rank(b));

  function path(url: string, dialect: Dialect): Path {
    const pattern = url.replace(/:[^/]+/g, ':');
    const known = paths.get(pattern);
    if (known !== undefined) return known;
    const made: Path = { segments: pattern.split('/'), url, routes: new Map(), dialect };
    paths.set(pattern, made);
    return made;
  }
  function rank({ segments }: Path): number {
    return segments.filter((segment) => segment === ':').length;
  }
}

/** Methods this path does not have, but for which a route of another path would take it for a parameter's value. */
function takenByOthers(path: Path, paths: readonly Path[]): Set<string> {
  const methods = new Set<string>();
  for (const other of paths) {
    if (other === path || !matches(other.segments, path.segments)) continue;
    for (const method of other.routes.keys()) if (!path.routes.has(method)) methods.add(method);
  }
  return methods;
}

function matches(pattern: readonly string[], segments: readonly string[]): boolean {
  return (
    pattern.length === segments.length &&
    pattern.every((part, i) => part === segments[i] || (part === ':' && segments[i] !== ''))
  );
}

/** Who claims a path that does not exist. */
function claimsOf(
  dialects: readonly Dialect[],
  { metrics, fallback }: { metrics: Metrics; fallback: Dialect },
): (path: string) => DeadEnd {
  const endOf = (dialect: Dialect): DeadEnd => ({
    dialect,
    allow: [],
    meter: metrics.meter(dialect.name, 'any', 'unknown'),
  });
  const claims = dialects.flatMap((dialect) => {
    const end = endOf(dialect);
    return dialect.claims.map((claim) => ({ claim, end }));
  });
  claims.sort((a, b) => b.claim.length - a.claim.length);
  const none = endOf(fallback);
  return (path) => claims.find(({ claim }) => path === claim || path.startsWith(`${claim}/`))?.end ?? none;
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

/** "In dialects 0–4 everything counts"; in the standards what can start a run does, and the rest has a bucket of its own. */
function bucketOf(dialect: Dialect, route: Route): Bucket | null {
  if (route.method === 'SOCKET') return 'run';
  if (route.counts === 'none') return null;
  return dialect.standard === true && route.counts === 'other' ? 'light' : 'run';
}

/** The path of a request target, decoded where it can be, without a trailing slash. */
function pathOf(target: string): string {
  const path = target.split(/[?#]/, 1)[0] ?? '';
  const bare = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
  try {
    return decodeURI(bare);
  } catch {
    return bare;
  }
}
