import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { openApi } from '../../src/http/openapi.ts';
import { type Dialect, route, socketRoute } from '../../src/http/route.ts';
import { dialectsOf } from '../../src/main.ts';
import type { Services } from '../../src/service/services.ts';
import { call, dialect, serve } from './serve.ts';

type Json = Record<string, unknown>;
interface Operation {
  operationId: string;
  tags: string[];
  security: Json[];
  parameters: { name: string; in: string; required: boolean; schema: Json }[];
  requestBody?: { required: boolean; content: Record<string, { schema: Json; example?: unknown }> };
  responses: Record<string, { description: string; content?: Record<string, { schema?: Json; example?: unknown }> }>;
  'x-websocket'?: Json;
}
interface Document {
  openapi: string;
  servers?: { url: string }[];
  tags: { name: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Json };
}

const write = (dialects: Dialect[], publicUrl: string | null = null) =>
  openApi(dialects, { version: '1', publicUrl }) as unknown as Document;

const node = z
  .object({
    name: z.string(),
    get children() {
      return z.array(node);
    },
  })
  .meta({ id: 'Node' });
const facts = { summary: 'A call', scope: 'read' as const, counts: 'run' as const };
const handle = async () => ({ status: 200 });
const table = dialect(
  [
    route({
      ...facts,
      method: 'GET',
      path: '/t/:id/items',
      params: z.object({ id: z.string().max(5) }),
      query: z.object({ limit: z.coerce.number<string>().int().max(10).exactOptional(), must: z.string() }),
      answers: [{ status: 200, description: 'Items', schema: z.array(node), example: [{ name: 'a', children: [] }] }],
      handle,
    }),
    route({
      ...facts,
      method: 'PUT',
      path: '/t/:name/items',
      body: z.object({ a: z.string().default('x') }),
      bodyTypes: ['json', 'form'],
      example: { a: 'b' },
      answers: [],
      handle,
    }),
    route({
      ...facts,
      method: 'POST',
      path: '/t/optional',
      body: z.object({ a: z.string() }).optional(),
      answers: [],
      handle,
    }),
    route({
      ...facts,
      method: 'GET',
      path: '/t/sse',
      answers: [{ status: 200, description: 'A stream', contentType: 'text/event-stream', example: 'data: a\n\n' }],
      handle,
    }),
    route({ ...facts, method: 'GET', path: '/t/open', counts: 'none', open: true, answers: [], handle }),
    socketRoute({
      summary: 'A socket',
      scope: 'read',
      method: 'SOCKET',
      path: '/t/ws',
      maxFrame: 5,
      open: () => ({ message() {}, resume() {}, stop() {} }),
    }),
  ],
  { namesUser: true },
);

describe('a route', () => {
  const { paths, components } = write([table]);
  const get = paths['/t/{id}/items']?.get as Operation;
  const put = paths['/t/{id}/items']?.put as Operation;

  test('has its parameters, from path, query and header', () => {
    assert.deepEqual(
      get.parameters.map(({ name, in: place, required }) => [name, place, required]),
      [
        ['id', 'path', true],
        ['limit', 'query', false],
        ['must', 'query', true],
        ['X-User-ID', 'header', false],
      ],
    );
    assert.equal(get.parameters[0]?.schema.maxLength, 5);
  });
  test('of a path that is spelled in two ways has the first spelling', () => {
    assert.deepEqual(
      Object.keys(paths).filter((path) => path.endsWith('items')),
      ['/t/{id}/items'],
    );
    assert.equal(put.parameters[0]?.name, 'id');
  });
  test('has a body for each way to send it, with its example', () => {
    assert.deepEqual(Object.keys(put.requestBody?.content ?? {}), [
      'application/json',
      'application/x-www-form-urlencoded',
    ]);
    assert.deepEqual(put.requestBody?.content['application/json']?.example, { a: 'b' });
    assert.equal(put.requestBody?.required, true);
    assert.equal(paths['/t/optional']?.post?.requestBody?.required, false);
  });
  test('has named schemas once, among the components', () => {
    assert.deepEqual(Object.keys(components.schemas), ['Node']);
    assert.deepEqual(get.responses['200']?.content?.['application/json']?.schema?.items, {
      $ref: '#/components/schemas/Node',
    });
    assert.deepEqual(get.responses['200']?.content?.['application/json']?.example, [{ name: 'a', children: [] }]);
  });
  test('has its errors in the dialect’s own words', () => {
    assert.deepEqual(Object.keys(put.responses), ['400', '401', '403', '404', '413', '415', '429', '500']);
    const example = put.responses['401']?.content?.['application/json']?.example as Json;
    assert.deepEqual([example.dialect, example.code], ['test', 'unauthorized']);
  });
  test('says what it needs', () => {
    assert.deepEqual(get.security, [{ key: [] }, {}]);
    assert.deepEqual(paths['/t/open']?.get?.security, []);
    const keyed = write([{ ...table, access: 'key' }]).paths['/t/sse']?.get;
    assert.deepEqual(keyed?.security, [{ key: [] }]);
  });
  test('of a stream has its type, and of a socket its frames', () => {
    assert.deepEqual(Object.keys(paths['/t/sse']?.get?.responses['200']?.content ?? {}), ['text/event-stream']);
    const socket = paths['/t/ws']?.get as Operation;
    assert.deepEqual(socket['x-websocket'], { maxFrame: 5, frames: 'text' });
    assert.ok('101' in socket.responses);
  });
  test('of a public server has its address', () => {
    assert.deepEqual(write([table], 'https://chat.test').servers, [{ url: 'https://chat.test' }]);
  });
});

describe('the document of every dialect', async () => {
  const dialects = dialectsOf({} as Services);
  const served = await serve({ dialects });
  const document = (await call(served, 'GET', '/openapi.json')).json as Document;
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
  );

  test('is OpenAPI 3.1 and has every route', () => {
    assert.equal(document.openapi, '3.1.0');
    for (const { name, routes } of dialects) {
      assert.equal(operations.filter(({ operation }) => operation.tags[0] === name).length, routes.length, name);
    }
  });
  test('names every operation differently, and its tag is known', () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    assert.equal(new Set(ids).size, ids.length);
    const tags = new Set(document.tags.map(({ name }) => name));
    for (const { operation } of operations) assert.ok(tags.has(operation.tags[0] as string));
  });
  test('declares exactly the parameters of each path', () => {
    for (const { path, method, operation } of operations) {
      const named = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
      const declared = operation.parameters.filter((one) => one.in === 'path').map(({ name }) => name);
      assert.deepEqual(declared, named, `${method} ${path}`);
    }
  });
  test('holds no reference that leads nowhere', () => {
    for (const [, name] of JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)) {
      const at = (name as string).replace('#/components/schemas/', '');
      assert.ok(at in document.components.schemas, name);
    }
  });
  test('has an answer for every operation, and an example of what it answers with', () => {
    for (const { path, method, operation } of operations) {
      const good = Object.keys(operation.responses).filter((status) => status < '400');
      assert.ok(good.length > 0, `${method} ${path} says what it answers`);
    }
  });
  test('has true examples: what a body is said to be is taken, what an answer is said to be fits', () => {
    for (const { routes } of dialects) {
      for (const one of routes) {
        if (one.method === 'SOCKET') continue;
        if (one.body !== undefined && one.example !== undefined)
          assert.ok(one.body.safeParse(one.example).success, `${one.method} ${one.path}`);
        for (const { schema, example, status } of one.answers) {
          if (schema === undefined || example === undefined) continue;
          const result = schema.safeParse(example);
          assert.ok(result.success, `${one.method} ${one.path} ${status}: ${result.error?.message}`);
        }
      }
    }
  });
  test('is the same text each time', async () => {
    const again = await call(served, 'GET', '/openapi.json');
    assert.deepEqual(again.json, document);
    assert.equal(again.headers['content-type'], 'application/json; charset=utf-8');
  });
});
