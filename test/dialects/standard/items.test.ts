import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatWireId, parseWireId } from '../../../src/core/ids.ts';
import { type Item, messageItem } from '../../../src/core/turn.ts';
import { toItems, toTurns } from '../../../src/dialects/standard/decode.ts';
import { toAnnotations, toList, toWireItem, toWireItems } from '../../../src/dialects/standard/encode.ts';
import { inputItem, listOf, metadata, page, item as wireItem } from '../../../src/dialects/standard/schema.ts';

const ID = '0198c7c1-5d00-7000-8000-5717b3fc2c96';

const decode = (sent: unknown): Item[] => toItems(inputItem.parse(sent));
const withId = (item: Item): Item => ({ ...item, id: ID });

describe('Ids of the standards', () => {
  it('are a prefix and a UUID, and read with any prefix or none', () => {
    assert.equal(formatWireId('function_call_output', ID), `fco_${ID}`);
    for (const text of [ID, `resp_${ID}`, `msg_${ID}`, `rs_${ID}`, `fc_${ID}`, `fco_${ID}`, `ws_${ID}`, `cmp_${ID}`]) {
      assert.equal(parseWireId(text), ID);
    }
    for (const text of ['', 'resp_', 'resp_1', `xy_${ID}`, `resp_resp_${ID}`, `${ID}0`]) {
      assert.equal(parseWireId(text), null);
    }
  });
});

describe('Items that are sent', () => {
  it('are messages without a type, their content a text or parts', () => {
    const done = { id: '', status: 'completed', type: 'message' } as const;
    assert.deepEqual(decode({ role: 'user', content: 'Hi' }), [
      { ...done, role: 'user', content: [{ type: 'text', text: 'Hi' }] },
    ]);
    const image = 'data:image/png;base64,AAAA';
    assert.deepEqual(
      decode({
        role: 'user',
        content: [
          { type: 'input_image', image_url: image },
          { type: 'input_text', text: 'What?' },
        ],
      }),
      [
        {
          ...done,
          role: 'user',
          content: [
            { type: 'image', url: image, detail: 'auto' },
            { type: 'text', text: 'What?' },
          ],
        },
      ],
    );
    assert.deepEqual(decode({ type: 'message', role: 'developer', content: 'Be brief' }), [
      { ...done, role: 'system', content: [{ type: 'text', text: 'Be brief' }], developer: true },
    ]);
    assert.deepEqual(decode({ role: 'assistant', content: 'Well', phase: 'commentary', status: 'incomplete' }), [
      {
        ...done,
        role: 'assistant',
        status: 'incomplete',
        content: [{ type: 'text', text: 'Well' }],
        phase: 'commentary',
      },
    ]);
  });

  it('are results of tools as a text or as parts; an image among these follows as a message', () => {
    const [output, message] = decode({
      type: 'function_call_output',
      call_id: 'c1',
      output: [
        { type: 'input_text', text: 'One, ' },
        { type: 'input_text', text: 'two' },
        { type: 'input_image', image_url: 'https://a.example/b.png', detail: 'low' },
      ],
    });
    assert.deepEqual(output, {
      type: 'function_call_output',
      id: '',
      status: 'completed',
      callId: 'c1',
      output: 'One, two',
    });
    assert.deepEqual(message?.type === 'message' && message.content, [
      { type: 'image', url: 'https://a.example/b.png', detail: 'low' },
    ]);
  });

  it('are refused where they are of no known kind, or hold what is not served', () => {
    const bad = [
      { type: 'file_search_call', id: 'x' },
      { role: 'robot', content: 'Hi' },
      { role: 'user', content: [{ type: 'input_file', file_id: 'x' }] },
      { role: 'user', content: [{ type: 'input_image', file_id: 'x' }] },
      { role: 'user', content: [{ type: 'input_image', image_url: 'file:///etc/passwd' }] },
      { type: 'function_call', call_id: 'c1', name: 'no spaces', arguments: '' },
      { type: 'function_call', call_id: '', name: 'f', arguments: '' },
      'Hi',
      null,
      {},
    ];
    for (const sent of bad) assert.equal(inputItem.safeParse(sent).success, false, JSON.stringify(sent));
    assert.throws(() => decode({ id: 'msg_1' }), /names no item/);
    assert.throws(() => decode({ type: 'compaction', encrypted_content: 'made up' }), /not one of this server/);
  });

  it('are turns where neighbours have one role, with one message each, the results of tools on the caller’s side', () => {
    const items = [
      { role: 'developer', content: 'Be brief' },
      { role: 'system', content: 'And kind' },
      { role: 'user', content: 'Weather?' },
      { type: 'reasoning', summary: [{ type: 'summary_text', text: 'Ask' }] },
      { type: 'function_call', call_id: 'c1', name: 'weather', arguments: '{}' },
      { type: 'function_call_output', call_id: 'c1', output: 'Rain' },
      { role: 'user', content: 'And tomorrow?' },
    ].flatMap(decode);
    assert.deepEqual(
      toTurns(items).map((turn) => [turn.role, turn.items.length]),
      [
        ['system', 1],
        ['system', 1],
        ['user', 1],
        ['assistant', 2],
        ['user', 2],
      ],
    );
  });
});

describe('Items that are shown', () => {
  it('are what was sent, with ids and statuses, and are accepted again', () => {
    const sent = [
      { role: 'developer', content: 'Be brief' },
      {
        role: 'user',
        content: [
          { type: 'input_text', text: 'Hi' },
          { type: 'input_image', image_url: 'https://a.example/b.png' },
        ],
      },
      {
        role: 'assistant',
        content: [
          { type: 'output_text', text: 'Hello' },
          { type: 'refusal', refusal: 'No' },
        ],
        phase: 'final_answer',
      },
      { type: 'reasoning', summary: [{ type: 'summary_text', text: 'Hm' }] },
      { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{}' },
      { type: 'function_call_output', call_id: 'c1', output: 'ok' },
      { type: 'web_search_call', action: { type: 'search', query: 'q' } },
      { type: 'web_search_call', action: { type: 'open_page', url: 'https://a.example' } },
      { type: 'mcp_call', id: 'mcp_1', server_label: 'files', name: 'read', arguments: '{}', output: 'text' },
    ];
    const items = sent.flatMap(decode).map(withId);
    const shown = toWireItems(items);
    for (const one of shown) wireItem.parse(one);
    assert.deepEqual(
      shown.map(({ id }) => id.slice(0, id.indexOf('_'))),
      ['msg', 'msg', 'msg', 'rs', 'fc', 'fco', 'ws', 'ws', 'mcp'],
    );
    assert.equal(shown[0]?.type === 'message' && shown[0].role, 'developer');
    // The call of a server's tool and its output are one item: what ties them together is then its id.
    const own = (all: readonly Item[]) => all.filter((item) => !('callId' in item) || item.callId === 'c1');
    assert.deepEqual(own(shown.flatMap(decode).map(withId)), own(items));
    const call = shown.at(-1);
    assert.deepEqual(call?.type === 'mcp_call' && [call.status, call.output, call.error], ['completed', 'text', null]);
  });

  it('cite each [n] of a text that stands for a page, and no other', () => {
    const sources = [
      { index: 1, title: 'One', url: 'https://one.example' },
      { index: 2, title: 'Two', url: 'https://two.example' },
    ];
    const text = 'So it is [2]. And [1][3] 😀 [1].';
    const annotations = toAnnotations(text, sources);
    assert.deepEqual(
      annotations.map(({ url, start_index, end_index }) => [url, text.slice(start_index, end_index)]),
      [
        ['https://two.example', '[2]'],
        ['https://one.example', '[1]'],
        ['https://one.example', '[1]'],
      ],
    );
  });

  it('cite only what was found before them', () => {
    const said = (id: string): Item => ({ ...messageItem(id, 'assistant', 'See [1].') });
    const action = { type: 'search' as const, queries: ['q'] };
    const sources = [{ index: 1, title: 'One', url: 'https://one.example' }];
    const search: Item = { type: 'web_search_call', id: ID, status: 'completed', action, sources };
    const counts = toWireItems([said(ID), search, said(ID)]).map((item) =>
      item.type === 'message' && item.content[0]?.type === 'output_text' ? item.content[0].annotations.length : null,
    );
    assert.deepEqual(counts, [0, null, 1]);
  });

  it('are pages of a list with its ends', () => {
    const one = toWireItem(messageItem(ID, 'user', 'Hi'), []);
    listOf(wireItem).parse(toList([one], false));
    assert.deepEqual(toList([{ id: 'a' }, { id: 'b' }], true), {
      object: 'list',
      data: [{ id: 'a' }, { id: 'b' }],
      first_id: 'a',
      last_id: 'b',
      has_more: true,
    });
  });
});

describe('What lists and objects may be given', () => {
  it('is a page of 1 to 100, newest first, 20 where nothing is said', () => {
    assert.deepEqual(page.parse({}), { limit: 20, order: 'desc' });
    assert.deepEqual(page.parse({ limit: '100', order: 'asc', after: 'x' }), { limit: 100, order: 'asc', after: 'x' });
    for (const bad of [{ limit: 0 }, { limit: 101 }, { limit: 'x' }, { order: 'up' }]) {
      assert.equal(page.safeParse(bad).success, false);
    }
  });

  it('is metadata of at most 16 pairs of texts', () => {
    const pairs = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 'v']));
    assert.equal(metadata.safeParse(pairs(16)).success, true);
    for (const bad of [pairs(17), { k: 1 }, { k: 'v'.repeat(513) }, { ['k'.repeat(65)]: 'v' }]) {
      assert.equal(metadata.safeParse(bad).success, false);
    }
  });
});
