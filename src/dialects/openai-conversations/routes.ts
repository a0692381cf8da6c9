/** `openai-conversations`: see README.md. */

import type { Conversation } from '#core/conversation.ts';
import { invalid } from '#core/errors.ts';
import { formatConversationId } from '#core/ids.ts';
import type { Cursor } from '#core/page.ts';
import type { Principal } from '#core/principal.ts';
import { type Answer, type Call, type Dialect, type Reply, type Route, route } from '#http/route.ts';
import { plainError } from '#http/system.ts';
import type { Services } from '#service/services.ts';
import { namedIn, toItems, toTurns } from '../standard/decode.ts';
import { toList, toWireItems } from '../standard/encode.ts';
import type { WireInputItem } from '../standard/schema.ts';
import { parseAfter, parseItemId, parsePlace, toUpdate } from './decode.ts';
import { toConversation, toMatch, toPlacedList, turnItems } from './encode.ts';
import * as schema from './schema.ts';

const ID = '0198c7c1-5d00-7000-8000-5717b3fc2c96';
const CONVERSATION = {
  id: `conv_${ID}`,
  object: 'conversation',
  created_at: 1_763_640_000,
  metadata: { topic: 'demo' },
  title: 'A day in Lisbon',
  archived: false,
  assistant: 'default',
  head: `msg_${ID}`,
  status: 'completed',
  response_id: `resp_${ID}`,
  updated_at: 1_763_640_060,
  active_at: 1_763_640_060,
};
const SENT = [{ type: 'message', role: 'user', content: 'Hello!' }];
const ITEM = {
  type: 'message',
  id: `msg_${ID}`,
  status: 'completed',
  role: 'user',
  content: [{ type: 'input_text', text: 'Hello!' }],
};
const LIST = toPlacedList([CONVERSATION], [], false);
const ITEMS = toList([ITEM], false);

export function openaiConversations(services: Services): Dialect {
  return {
    name: 'openai-conversations',
    title: 'Conversations, with list, search, branches and fork',
    claims: ['/v1/conversations'],
    access: 'local',
    namesUser: false,
    standard: true,
    error: plainError,
    routes: [...conversationRoutes(services), ...itemRoutes(services)],
  };
}

const FACTS = { counts: 'other' } as const;
const answer = (description: string, of: NonNullable<Answer['schema']>, example: unknown, status = 200): Answer => ({
  status,
  description,
  schema: of,
  example,
});
const shown = (description: string, status = 200) => answer(description, schema.conversation, CONVERSATION, status);

function conversationRoutes(services: Services): Route[] {
  const { conversations, items, search, assistants } = services;
  const show = createShow(services);
  const readTurns = createReadTurns(services);

  return [
    route({
      ...FACTS,
      method: 'POST',
      path: '/v1/conversations',
      summary: 'Create a conversation, with up to 20 items',
      scope: 'write',
      body: schema.newConversation,
      example: { metadata: { topic: 'demo' }, items: SENT },
      answers: [shown('The conversation')],
      async handle({ principal, body, once }) {
        const { items: sent, metadata, title, assistant } = body ?? {};
        checkAssistant(assistant);
        const opening = { title: title ?? null, ...(assistant && { assistant }), ...(metadata && { metadata }) };
        const turns = await readTurns(principal, sent ?? []);
        return show(await items.begin(principal, opening, turns, once));
      },
    }),
    route({
      ...FACTS,
      method: 'GET',
      path: '/v1/conversations',
      summary: 'List conversations, newest activity first, or search in all their messages',
      scope: 'read',
      query: schema.listQuery,
      answers: [answer('The conversations', schema.conversations, LIST)],
      handle: (call) => (call.query.query === undefined ? list(call) : find(call, call.query.query)),
    }),
    route({
      ...FACTS,
      method: 'GET',
      path: '/v1/conversations/:conversation_id',
      summary: 'Get a conversation',
      scope: 'read',
      params: schema.byId,
      answers: [shown('The conversation')],
      handle: async ({ principal, params }) => show(await conversations.get(principal, params.conversation_id)),
    }),
    route({
      ...FACTS,
      method: 'POST',
      path: '/v1/conversations/:conversation_id',
      summary: 'Change metadata, title, archive, assistant, or the branch that is shown',
      scope: 'write',
      params: schema.byId,
      body: schema.update,
      example: { metadata: { topic: 'demo' }, title: 'A day in Lisbon' },
      answers: [shown('The conversation')],
      async handle({ principal, params: { conversation_id: id }, body, once }) {
        const set = toUpdate(body);
        checkAssistant(set.assistant);
        if (body.head === undefined) return show(await conversations.update(principal, id, set, once));
        const head = await conversations.show(principal, id, parseItemId(body.head), body.branch_end === true);
        return show(await conversations.update(principal, id, { ...set, head }, once));
      },
    }),
    route({
      ...FACTS,
      method: 'DELETE',
      path: '/v1/conversations/:conversation_id',
      summary: 'Delete a conversation with everything in it',
      scope: 'write',
      params: schema.byId,
      answers: [
        answer('It is deleted', schema.deleted, { id: CONVERSATION.id, object: 'conversation.deleted', deleted: true }),
      ],
      async handle({ principal, params, once }) {
        const { id } = await conversations.remove(principal, params.conversation_id, once);
        return { status: 200, body: { id: formatConversationId(id), object: 'conversation.deleted', deleted: true } };
      },
    }),
    route({
      ...FACTS,
      method: 'POST',
      path: '/v1/conversations/:conversation_id/fork',
      summary: 'Copy a branch, up to and with an item, into a new conversation',
      scope: 'write',
      params: schema.byId,
      body: schema.newFork,
      example: { item_id: ITEM.id },
      answers: [shown('The new conversation', 201)],
      async handle({ principal, params, body, once }) {
        const item = body?.item_id == null ? null : parseItemId(body.item_id);
        const made = await items.fork(principal, params.conversation_id, item, once);
        const headers = { location: `/v1/conversations/${formatConversationId(made.id)}` };
        return { ...(await show(made)), status: 201, headers };
      },
    }),
  ];

  async function list({ principal, query }: Call<unknown, ListQuery>): Promise<Reply> {
    const { limit, order: direction, after, archived } = query;
    const page = await conversations.list(principal, {
      order: 'activity',
      direction,
      limit,
      after: after === undefined ? null : await placeOf(principal, after),
      archived: archived === 'true',
    });
    const heads = await conversations.heads(page.data);
    const data = page.data.map((one) => toConversation(one, heads.get(one.id)));
    return { status: 200, body: toPlacedList(data, page.data, page.next !== null) };
  }

  async function placeOf(principal: Principal, after: string): Promise<Cursor> {
    const place = parsePlace(after);
    if ('at' in place) return place;
    const { activeAt: at, id } = await conversations.get(principal, place.conversation);
    return { at, id };
  }

  async function find({ principal, query }: Call<unknown, ListQuery>, words: string): Promise<Reply> {
    const { limit, after = null, archived, sort: order = 'newest' } = query;
    const wanted = { query: words, order, limit, after, archived: archived === 'true' };
    const { hits, next, complete } = await search.search(principal, wanted);
    const heads = await conversations.heads(hits.map((hit) => hit.conversation));
    const data = hits.map((hit) => ({
      ...toConversation(hit.conversation, heads.get(hit.conversation.id)),
      match: toMatch(hit),
    }));
    const ends = { first_id: data[0]?.id ?? null, last_id: next ?? data.at(-1)?.id ?? null };
    return { status: 200, body: { object: 'list', data, ...ends, has_more: next !== null, complete } };
  }

  function checkAssistant(id: string | null | undefined): void {
    if (id == null || assistants.list().some((known) => known.id === id)) return;
    throw invalid(`The assistant "${id}" does not exist here. See GET /v1/assistants.`, 'assistant');
  }
}

type ListQuery = (typeof schema.listQuery)['_output'];

function itemRoutes(services: Services): Route[] {
  const { items } = services;
  const show = createShow(services);
  const readTurns = createReadTurns(services);

  return [
    route({
      ...FACTS,
      method: 'GET',
      path: '/v1/conversations/:conversation_id/items',
      summary: 'List the items of the shown branch, newest first',
      scope: 'read',
      params: schema.byId,
      query: schema.page,
      answers: [answer('The items', schema.itemList, ITEMS)],
      async handle({ principal, params, query: { limit, order: direction, after } }) {
        const page = { limit, direction, after: parseAfter(after) };
        const { data, more } = await items.list(principal, params.conversation_id, page, turnItems);
        return { status: 200, body: toList(data, more) };
      },
    }),
    route({
      ...FACTS,
      method: 'POST',
      path: '/v1/conversations/:conversation_id/items',
      summary: 'Add up to 20 items; they are stored and not answered',
      scope: 'write',
      params: schema.byId,
      body: schema.newItems,
      example: { items: SENT },
      answers: [answer('The items as they are stored', schema.itemList, ITEMS)],
      async handle({ principal, params, body, once }) {
        const turns = await readTurns(principal, body.items);
        const added = await items.add(principal, params.conversation_id, turns, once);
        return {
          status: 200,
          body: toList(
            added.flatMap((turn) => toWireItems(turn.items)),
            false,
          ),
        };
      },
    }),
    route({
      ...FACTS,
      method: 'GET',
      path: '/v1/conversations/:conversation_id/items/:item_id',
      summary: 'Get an item, of any branch',
      scope: 'read',
      params: schema.byItem,
      answers: [answer('The item', schema.item, ITEM)],
      async handle({ principal, params }) {
        const id = parseItemId(params.item_id);
        const { turn } = await items.find(principal, params.conversation_id, id);
        const found = turnItems.show(turn).find((item) => turnItems.idOf(item) === id);
        return { status: 200, body: found };
      },
    }),
    route({
      ...FACTS,
      method: 'DELETE',
      path: '/v1/conversations/:conversation_id/items/:item_id',
      summary: 'Delete an item; gives the conversation',
      scope: 'write',
      params: schema.byItem,
      answers: [shown('The conversation')],
      async handle({ principal, params, once }) {
        return show(await items.remove(principal, params.conversation_id, parseItemId(params.item_id), once));
      },
    }),
  ];
}

/** Items that are sent, with those they name, as turns. */
function createReadTurns({ responses }: Services) {
  return async (principal: Principal, sent: readonly WireInputItem[]) => {
    const known = await responses.resolve(principal, namedIn(sent), null);
    return toTurns(sent.flatMap((item) => toItems(item, known)));
  };
}

/** A conversation as an answer. */
function createShow({ conversations }: Services) {
  return async (conversation: Conversation) => {
    const heads = await conversations.heads([conversation]);
    return { status: 200, body: toConversation(conversation, heads.get(conversation.id)) };
  };
}
