import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/adapters/clock/system.ts';
import { createGuide } from '../../src/adapters/model/guide/guide.ts';
import { loadConfig } from '../../src/config.ts';
import { messageItem } from '../../src/core/turn.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const documents = [
  'README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** What the guide answers to a question that begins a conversation. */
async function ask(question: string): Promise<string> {
  const guide = createGuide({ clock: systemClock, msPerWord: 0 });
  const turns = [{ role: 'user' as const, items: [messageItem('m', 'user', question)] }];
  const request = { system: '', turns, tools: [], parameters: {} };
  let text = '';
  for await (const batch of guide.stream('guide', request, new AbortController().signal)) {
    for (const event of batch) if (event.type === 'text') text += event.text;
  }
  return text;
}

describe('the guide finds in these documents', () => {
  const questions: [question: string, place: string, says: RegExp][] = [
    ['How do I connect Ollama?', 'docs/operating/models.md', /ollama pull llama3\.2/],
    ['connect LM Studio', 'docs/operating/models.md', /1234/],
    ['Can I use llama.cpp?', 'docs/operating/models.md', /llama-server/],
    ['How do I use vLLM?', 'docs/operating/models.md', /8001/],
    ['connecting OpenRouter', 'docs/operating/models.md', /openrouter\.ai/],
    ['How can I use Anthropic?', 'docs/operating/models.md', /ANTHROPIC_API_KEY/],
    ['How do I connect Gemini?', 'docs/operating/models.md', /GEMINI_API_KEY/],
    ['What is the guide?', 'docs/operating/models.md', /not a language model/],
    ['What are fallbacks?', 'docs/operating/models.md', /fallbacks/],
    ['Where is my data?', 'docs/operating/backup.md', /parlance\.db/],
    ['How do I back up my conversations?', 'docs/operating/backup.md', /VACUUM INTO/],
    ['How do I restore a backup?', 'docs/operating/backup.md', /cp backup\.db/],
    ['How do I upgrade?', 'docs/operating/backup.md', /git pull/],
    ['How do I make a key?', 'docs/security.md', /keys create --user/],
    ['revoke a key', 'docs/security.md', /keys revoke/],
    ['How do I sign in to the web app?', 'docs/operating/web-app.md', /users invite/],
    ['How do I open the web app?', 'docs/operating/web-app.md', /localhost:8000/],
    ['What is local mode?', 'docs/security.md', /loopback/],
    ['How do I run it behind nginx?', 'docs/security.md', /PARLANCE_LOCAL=off/],
    ['What are the limits?', 'docs/security.md', /100 a minute/],
    ['How do I change the port?', 'docs/operating/configuration.md', /PORT=8080/],
    ['What does PARLANCE_TITLES do?', 'docs/operating/configuration.md', /`PARLANCE_TITLES`/],
    ['How do I follow a stream after a cut?', 'docs/clients/curl.md', /Last-Event-ID/],
    ['How do I use the WebSocket?', 'docs/clients/curl.md', /new WebSocket/],
    ['connect Open WebUI', 'docs/clients/open-webui.md', /X-Conversation-ID/],
    ['How do I connect LibreChat?', 'docs/clients/librechat.md', /librechat\.yaml/],
    ['How do I search in all conversations?', 'docs/clients/conversations.md', /query=tram/],
    ['What is a ticket?', 'docs/clients/conversations.md', /\/v1\/tickets/],
    ['How do I retry safely?', 'docs/clients/curl.md', /Idempotency-Key/],
    ['How do I add a dialect?', 'docs/architecture.md', /routes\.ts/],
    ['How do I connect an MCP server?', 'docs/operating/tools.md', /mcpServers/],
    ['What is approval?', 'docs/operating/tools.md', /addToolApprovalResponse/],
    ['docker compose up', 'docs/operating/docker.md', /docker compose up/],
  ];
  for (const [question, place, says] of questions) {
    test(question, async () => {
      const text = await ask(question);
      assert.ok(text.includes(`More: \`${place}\``), text);
      assert.match(text, says);
      assert.ok(text.length < 3500, `an answer of ${text.length} characters`);
    });
  }

  test('nothing about other things', async () => {
    for (const question of ['What is the capital of France?', 'Write a poem about autumn', 'Who won the world cup?']) {
      assert.match(await ask(question), /I found nothing about that/, question);
    }
  });
});

test('every setting is in the table, and every setting of the table exists', () => {
  const settings = [...read('src/config.ts').matchAll(/^ {2}([A-Z_]+): \[parse\.(\w+)/gm)]
    .filter(([, , parser]) => parser !== 'refused')
    .map(([, name]) => name);
  assert.ok(settings.length > 30, 'the settings are found in src/config.ts');
  const rows = read('docs/operating/configuration.md')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .flatMap((line) => [...(line.split('|')[1] ?? '').matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name));
  const proxies = ['HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY'];
  assert.deepEqual(rows.toSorted(), [...settings, ...proxies].toSorted());
});

test('no document names a setting that does not exist', () => {
  const known = new Set(read('src/config.ts').match(/\bPARLANCE_[A-Z_]+/g));
  for (const path of documents) {
    const prose = read(path).replace(/PARLANCE_MODL\b/g, '');
    for (const name of new Set(prose.match(/\bPARLANCE_[A-Z_]+\b/g))) assert.ok(known.has(name), `${path}: ${name}`);
  }
});

test('the config file in the documents is a valid one', async () => {
  const [, example] = /```json\n([\s\S]*?)```/.exec(read('docs/operating/configuration.md')) ?? [];
  const folder = mkdtempSync(join(tmpdir(), 'parlance-docs-'));
  writeFileSync(join(folder, 'parlance.config.json'), example ?? '');
  const config = await loadConfig({ LAB_API_KEY: 'k' }, folder);
  rmSync(folder, { recursive: true });
  assert.equal(config.assistants[0]?.id, 'support');
  assert.equal(config.models.providers[0]?.apiKey, 'k');
});

test('what the documents point at is there', () => {
  for (const path of documents) {
    const text = read(path).replace(/```[\s\S]*?```/g, '');
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, to]) => join(dirname(path), to ?? ''));
    const named = [...text.matchAll(/`((?:docs|src|test|bench)\/[\w./-]+\.\w+)`/g)].map(([, to]) => to ?? '');
    for (const to of [...links, ...named]) assert.ok(existsSync(join(root, normalize(to))), `${path} points at ${to}`);
  }
});
