/**
 * The access walker: every route × dialect × id field × WebSocket frame, from the route table itself, as everybody who
 * must not reach it (QUALITY.md, 2). What is somebody else's is answered as what does not exist, to the byte, and is
 * untouched afterwards.
 */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Keys, openKeys } from '../support/keys.ts';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { type Answer, startServer, type TestServer } from '../support/server.ts';
import { closeSockets, type Frame, openSocket, refusedUpgrade } from '../support/socket.ts';
import { everything, finish, furnish, type Headers, type Victim } from './people.ts';
import { callsOf, type KnownRoute, knownRoutes, UNKNOWN, type WalkCall } from './routes.ts';

const { routes, problems } = knownRoutes();

/** Somebody who is let in, but to their own things only. */
interface Stranger {
  what: string;
  headers: Headers;
  query?: string;
  /** Statuses they may get besides 404, and where. */
  also?: (route: KnownRoute) => number | null;
  /** Their numbers are those of another tenant, so a number may be their own. */
  ownNumbers?: true;
}

/** Somebody who is not let in at all. */
interface Outsider {
  what: string;
  headers: Headers;
  query?: string;
  /** The status on that route; null: they may use it. */
  status(route: KnownRoute): number | null;
}

const isOpen = ({ route }: KnownRoute) => route.method !== 'SOCKET' && route.open === true;
/** Whoever shows nothing is nobody there, and what they show must be right. */
const takesAnybody = ({ route }: KnownRoute) => route.method !== 'SOCKET' && route.open !== undefined;

it('the walker knows every route and every field of it', () => {
  assert.deepEqual(problems, []);
});

for (const local of ['on', 'off'] as const) {
  describe(`PARLANCE_LOCAL=${local}`, () => {
    let model: ModelServer;
    let server: TestServer;
    let keys: Keys;
    let victims: Victim[];
    let strangers: Stranger[];
    let outsiders: Outsider[];
    let before_: Record<string, string>[];
    let asked: number;

    before(async () => {
      model = await startModelServer();
      server = await startServer({ model: model.url, env: { PARLANCE_LOCAL: local } });
      keys = await openKeys(server.data);
      victims = await makeVictims();
      strangers = await makeStrangers();
      outsiders = await makeOutsiders();
      before_ = await Promise.all(victims.map(({ client }) => everything(client)));
      asked = model.calls.length;
    });
    after(async () => {
      closeSockets();
      await keys?.close();
      await server?.close();
      await model.close();
    });

    const keyed = async (wanted: Parameters<Keys['create']>[0]): Promise<Headers> => ({
      authorization: `Bearer ${(await keys.create(wanted)).secret}`,
    });

    /** The session of a browser that signed in with a key, as its own pages send it. */
    async function signedIn(key: string): Promise<Headers> {
      const headers = { 'sec-fetch-site': 'same-origin' };
      const answer = await server.visitor(headers).request('POST', '/v1/session', { body: { key } });
      assert.equal(answer.status, 200, answer.text);
      return { ...headers, cookie: answer.headers['set-cookie']?.[0]?.split(';', 1)[0] ?? '' };
    }

    /** What a dialect that wants a key from everybody tells whoever has none. */
    const needsKey = ({ dialect }: KnownRoute) => (local === 'off' || dialect.access === 'key' ? 401 : null);

    async function makeVictims(): Promise<Victim[]> {
      const make = (what: string, headers: Headers, byNumber: boolean) =>
        furnish(server, model, { what, headers, canary: `canary-of-${what.replace(/\W/g, '-')}`, byNumber });
      const made = [
        await make('a user of the default tenant', await keyed({ user: 'alice' }), true),
        await make('a user of another tenant', await keyed({ tenant: 'other', user: 'alice' }), false),
      ];
      if (local === 'on') made.push(await make('a keyless user', { 'x-user-id': 'kim' }, false));
      return made;
    }

    async function makeStrangers(): Promise<Stranger[]> {
      const eve = await keyed({ user: 'eve' });
      const service = await keyed({ user: 'service', kind: 'service', scopes: ['read', 'write', 'admin'] });
      const elsewhere = await keyed({ tenant: 'third', user: 'alice' });
      const serviceElsewhere = await keyed({ tenant: 'third', user: 'service', kind: 'service' });
      /** A user key that names another user is refused where the dialect lets callers name theirs. */
      const names = ({ dialect }: KnownRoute) => (dialect.namesUser ? 403 : null);
      const all: Stranger[] = [
        { what: 'another user', headers: eve },
        { what: 'another user, with the key alone', headers: { authorization: eve.authorization?.slice(7) ?? '' } },
        { what: 'another user who names the victim', headers: { ...eve, 'x-user-id': 'alice' }, also: names },
        { what: 'another user who names the victim in the query', headers: eve, query: 'user_id=alice', also: names },
        { what: 'a service key as its own user', headers: service },
        { what: 'a service key for another user', headers: { ...service, 'x-user-id': 'eve' } },
        { what: 'the same name in a third tenant', headers: elsewhere, ownNumbers: true },
        {
          what: 'a service key of a third tenant for the same name',
          headers: { ...serviceElsewhere, 'x-user-id': 'alice' },
          ownNumbers: true,
        },
      ];
      const session = await signedIn((await keys.create({ user: 'eve' })).secret);
      // The documented APIs take no cookie: there a page of this server is as keyless as any.
      const bySession = (route: KnownRoute) => (route.dialect.standard ? null : needsKey(route));
      all.push({ what: 'another user by session', headers: { ...session, 'x-user-id': 'eve' }, also: bySession });
      if (local === 'on') {
        const named = (route: KnownRoute) => needsKey(route) ?? (route.needsUser ? 400 : null);
        all.push({ what: 'another keyless user', headers: { 'x-user-id': 'eve' }, also: needsKey });
        // By id they find keyless people's things, on purpose: they are tried on the others'.
        all.push({ what: 'nobody in particular', headers: {}, also: named });
      }
      return all;
    }

    async function makeOutsiders(): Promise<Outsider[]> {
      const revoked = await keys.create({ user: 'alice' });
      await keys.revoke(revoked);
      const expired = await keys.createExpired({ user: 'alice' });
      const { secret } = await keys.create({ user: 'alice' });
      const reader = await keyed({ user: 'alice', scopes: ['read'] });
      const writer = await keyed({ user: 'alice', scopes: ['write'] });
      const admin = await keyed({ user: 'alice', scopes: ['admin'] });
      const never = (route: KnownRoute) => (isOpen(route) ? null : 401);
      // In local mode the standards take only what begins with plk_ for a key: people type anything.
      const unlikeKey = (route: KnownRoute) => (local === 'on' && route.dialect.standard ? null : never(route));
      const lacks = (scope: string) => (route: KnownRoute) =>
        takesAnybody(route) || route.route.scope === scope ? null : 403;
      const keyless = (route: KnownRoute) => (takesAnybody(route) ? null : needsKey(route));
      const revokedLater = await keys.create({ user: 'alice' });
      const endedSession = await signedIn(revokedLater.secret);
      await keys.revoke(revokedLater);
      const { cookie = '' } = await signedIn(secret);
      /** A cookie that comes from who knows where changes nothing; what it reads only its own browser sees. */
      const unproven = (route: KnownRoute) => {
        if (!route.dialect.standard || isOpen(route)) return keyless(route);
        return route.route.method !== 'GET' || route.route.scope !== 'read' ? 403 : null;
      };
      const elsewhere = (route: KnownRoute) =>
        !route.dialect.standard || isOpen(route) ? (takesAnybody(route) ? null : 401) : 403;
      return [
        { what: 'no key', headers: {}, status: keyless },
        { what: 'no key, but a name', headers: { 'x-user-id': 'alice' }, status: keyless },
        { what: 'no key, an empty header', headers: { authorization: '' }, status: keyless },
        { what: 'no key, only its scheme', headers: { authorization: 'Bearer' }, status: keyless },
        { what: 'a key in a cookie', headers: { cookie: `key=${secret}; authorization=${secret}` }, status: keyless },
        { what: 'a key in a header of its own', headers: { 'x-api-key': secret }, status: keyless },
        { what: 'a key in the query', headers: {}, query: `key=${secret}&ticket=${secret}`, status: keyless },
        { what: 'the session of a revoked key', headers: endedSession, status: keyless },
        { what: 'a session without a sign of where it is from', headers: { cookie }, status: unproven },
        {
          what: 'a session from a page of another port',
          headers: { cookie, 'sec-fetch-site': 'same-site' },
          status: elsewhere,
        },
        { what: 'a wrong key', headers: { authorization: `Bearer plk_${'0'.repeat(64)}` }, status: never },
        { what: 'a key as a password', headers: { authorization: `Basic ${btoa(`:${secret}`)}` }, status: unlikeKey },
        { what: 'a key and more', headers: { authorization: `Bearer ${secret}x` }, status: never },
        { what: 'a key in capitals', headers: { authorization: secret.toUpperCase() }, status: unlikeKey },
        { what: 'a revoked key', headers: { authorization: `Bearer ${revoked.secret}` }, status: never },
        { what: 'a revoked key alone', headers: { authorization: revoked.secret }, status: never },
        { what: 'an expired key', headers: { authorization: `Bearer ${expired.secret}` }, status: never },
        { what: 'an expired key alone', headers: { authorization: expired.secret }, status: never },
        { what: 'a key that may only read', headers: reader, status: lacks('read') },
        { what: 'a key that may only write', headers: writer, status: lacks('write') },
        { what: 'a key that may only administer', headers: admin, status: lacks('admin') },
      ];
    }

    const send = (headers: Headers, query: string | undefined, call: WalkCall): Promise<Answer> => {
      const path = query === undefined ? call.path : `${call.path}${call.path.includes('?') ? '&' : '?'}${query}`;
      const all = { ...headers, ...(call.contentType !== undefined && { 'content-type': call.contentType }) };
      return server.visitor().request(call.method, path, { body: call.body, headers: all });
    };

    /** Nothing of a victim is in what somebody else was told. */
    function assertSilent(text: string, what: string): void {
      for (const { canary } of victims) assert.ok(!text.includes(canary), `${what} was told ${canary}`);
    }

    /** The ids a stranger tries on a victim. */
    function targetsOf(victim: Victim, stranger: Stranger, kinds: KnownRoute['ids'][number]['kinds']) {
      const all = kinds.flatMap((kind): [string | number, string | number][] => victim.things[kind]);
      return all.filter(([id]) => !(stranger.ownNumbers && typeof id === 'number'));
    }

    /** Who can be tried on whom: the owner of the machine finds keyless people's things on purpose. */
    const tries = (stranger: Stranger, victim: Victim) =>
      !(stranger.what === 'nobody in particular' && victim.what === 'a keyless user');

    for (const known of routes.filter(({ route, ids }) => route.method !== 'SOCKET' && ids.length > 0)) {
      it(`${known.name} gives strangers the 404 of an unknown id`, async () => {
        for (const stranger of strangers) {
          for (const field of known.ids) {
            /** What an unknown id of each form is told. */
            const controls = new Map<string | number, Answer[]>();
            const tell = (id: string | number) =>
              Promise.all(callsOf(known, field, id).map((call) => send(stranger.headers, stranger.query, call)));
            for (const victim of victims.filter((one) => tries(stranger, one))) {
              for (const [id, unknown] of targetsOf(victim, stranger, field.kinds)) {
                const control = controls.get(unknown) ?? (await tell(unknown));
                controls.set(unknown, control);
                for (const [i, answer] of (await tell(id)).entries()) {
                  const what = `${stranger.what}, ${field.place} ${field.name}=${id} of ${victim.what}`;
                  assert.deepEqual([answer.status, answer.text], [control[i]?.status, control[i]?.text], what);
                  assert.equal(
                    answer.status,
                    stranger.also?.(known) ?? field.unknown ?? known.unknown,
                    `${what}: ${answer.text}`,
                  );
                  assertSilent(answer.text, what);
                }
              }
            }
          }
        }
      });
    }

    for (const known of routes.filter(({ route }) => route.method === 'SOCKET')) {
      it(`${known.name} gives strangers the error of an unknown id, for each frame`, async () => {
        for (const stranger of strangers) {
          const refusal = stranger.also?.(known) ?? null;
          const path = stranger.query === undefined ? known.route.path : `${known.route.path}?${stranger.query}`;
          if (refusal !== null) {
            const { status, text } = await refusedUpgrade(server.url, path, stranger.headers);
            assert.equal(status, refusal, stranger.what);
            assertSilent(text, stranger.what);
            continue;
          }
          const socket = await openSocket(server.url, path, { headers: stranger.headers });
          for (const victim of victims.filter((one) => tries(stranger, one))) {
            for (const field of known.ids) {
              for (const [id, unknown] of targetsOf(victim, stranger, field.kinds)) {
                const told: Frame[] = [];
                for (const value of [unknown, id]) {
                  socket.send({ ...field.frame, [field.name]: value });
                  told.push(await socket.next());
                }
                const what = `${stranger.what}, ${JSON.stringify(field.frame)} ${field.name}=${id} of ${victim.what}`;
                assert.equal(told[1]?.type, 'error', what);
                assert.deepEqual(told[1], told[0], what);
              }
            }
          }
          await socket.close();
          assert.deepEqual(socket.untaken(), [], stranger.what);
        }
      });
    }

    // Behind the sockets: among them is the call that ends a session.
    for (const known of routes.filter(({ route, ids }) => route.method !== 'SOCKET' && ids.length === 0)) {
      it(`${known.name} tells and does strangers nothing of others`, async () => {
        for (const stranger of strangers) {
          for (const call of callsOf(known, null, '')) {
            assertSilent((await send(stranger.headers, stranger.query, call)).text, stranger.what);
          }
        }
      });
    }

    for (const known of routes) {
      it(`${known.name} lets nobody in without the right key`, async () => {
        const { things } = victims[0] as Victim;
        for (const outsider of outsiders) {
          const status = outsider.status(known);
          if (status === null) continue;
          const answers: { status: number; text: string }[] = [];
          if (known.route.method === 'SOCKET') {
            const path = `${known.route.path}?${outsider.query ?? ''}`;
            answers.push(await refusedUpgrade(server.url, path, outsider.headers));
            answers.push(await server.visitor().request('GET', path, { headers: outsider.headers }));
          } else {
            for (const field of [null, ...known.ids]) {
              const [id = UNKNOWN] = field === null ? [] : (things[field.kinds[0] ?? 'conversation'][0] ?? []);
              for (const call of callsOf(known, field, id)) {
                answers.push(await send(outsider.headers, outsider.query, call));
              }
            }
          }
          for (const { status: given, text } of answers) {
            assert.equal(given, status, `${outsider.what}: ${text}`);
            assert.equal(text, answers[0]?.text, outsider.what);
            assertSilent(text, outsider.what);
          }
        }
      });
    }

    for (const known of routes.filter(({ route }) => route.method === 'GET')) {
      it(`${known.name} cannot be upgraded, by its owner neither`, async () => {
        const alice = await keyed({ user: 'alice', scopes: ['read', 'write', 'admin'] });
        const { things } = victims[0] as Victim;
        for (const field of [null, ...known.ids]) {
          const ids = field === null ? [UNKNOWN] : field.kinds.flatMap((kind) => things[kind].map(([id]) => id));
          for (const id of ids) {
            for (const call of callsOf(known, field, id)) {
              const { status, text } = await refusedUpgrade(server.url, call.path, alice);
              assert.equal(status, 400, `${call.path}: ${text}`);
            }
          }
        }
      });
    }

    it('in the end nothing of anybody was changed, and no model was asked for it', async () => {
      for (const [i, victim] of victims.entries()) {
        assert.deepEqual(await everything(victim.client), before_[i], victim.what);
        await finish(victim);
      }
      const canaries = victims.map(({ canary }) => canary);
      for (const { body } of model.calls.slice(asked)) {
        const text = JSON.stringify(body.messages);
        assert.ok(!canaries.some((canary) => text.includes(canary)), text);
      }
    });
  });
}
