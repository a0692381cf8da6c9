import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { test } from 'node:test';
import { startModelServer } from '../support/model-server.ts';
import { emptyFolder, run } from './cli.ts';

const cwd = emptyFolder();

/** An Ollama that pulls what it is asked for. */
async function startOllama(
  pull: (name: string, out: ServerResponse) => void,
): Promise<{ host: string; server: Server }> {
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    assert.equal(`${request.method} ${request.url}`, 'POST /api/pull');
    pull(JSON.parse(body).model, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return { host: `127.0.0.1:${address.port}`, server };
}

const lines = (...steps: object[]) => steps.map((step) => `${JSON.stringify(step)}\n`).join('');

test('model list shows what can be asked, and which is the default', async () => {
  const model = await startModelServer({ models: ['text-embedding-3', 'small-chat', 'large-chat'] });
  const env = { OPENAI_BASE_URL: model.url, PARLANCE_DETECT: 'off', PARLANCE_MODEL: 'large-chat' };
  const { code, stdout, stderr } = await run(['model', 'list'], { cwd, env });
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  assert.match(stdout, /^MODEL +PROVIDER +WINDOW\n/);
  assert.match(stdout, /\nsmall-chat +openai +\d[\d,]* +chat, on this machine\n/);
  assert.match(stdout, /\nlarge-chat +openai +\d[\d,]* +chat, on this machine, the default\n/);
  assert.match(stdout, /\ntext-embedding-3 +openai +\d[\d,]* +no chat, on this machine\n/);
  const listed = JSON.parse((await run(['model', 'list', '--json'], { cwd, env })).stdout);
  assert.equal(listed.default, 'large-chat');
  assert.deepEqual(listed.models.map(({ id }: { id: string }) => id).toSorted(), [
    'large-chat',
    'small-chat',
    'text-embedding-3',
  ]);
  await model.close();
});

test('model list without any model says why, and is no success', async () => {
  const { code, stdout, stderr } = await run(['model', 'list'], { cwd, env: { PARLANCE_DETECT: 'off' } });
  assert.deepEqual({ code, stdout }, { code: 1, stdout: '' });
  assert.match(stderr, /^No model is configured or found: .*\n$/);
});

test('model pull has Ollama fetch it, and says each step once', async () => {
  const asked: string[] = [];
  const { host, server } = await startOllama((name, out) => {
    asked.push(name);
    const layer = { status: 'pulling dde5aa3fc5ffc17176b5e8bdc82f587b24b2678c6c66101bf7da77af9f7ccdff', total: 2048 };
    out.write(lines({ status: 'pulling manifest' }, { ...layer, completed: 1024 }));
    out.end(lines({ ...layer, completed: 2048 }, { status: 'verifying sha256 digest' }, { status: 'success' }));
  });
  const { code, stdout, stderr } = await run(['model', 'pull', 'llama3.2'], { cwd, env: { OLLAMA_HOST: host } });
  assert.deepEqual(asked, ['llama3.2']);
  assert.deepEqual(
    { code, stdout, stderr: stderr.split('\n') },
    {
      code: 0,
      stdout: '',
      stderr: [
        'llama3.2: pulling manifest',
        'llama3.2: pulling',
        'llama3.2: verifying sha256 digest',
        'llama3.2: success',
        'llama3.2 is there: ask for it as ollama/llama3.2.',
        '',
      ],
    },
  );
  server.close();
});

test('what Ollama says against it is passed on', async () => {
  const { host, server } = await startOllama((_, out) =>
    out.end(lines({ status: 'pulling manifest' }, { error: 'file does not exist' })),
  );
  const { code, stderr } = await run(['model', 'pull', 'nope'], { cwd, env: { OLLAMA_HOST: host } });
  assert.equal(code, 1);
  assert.match(stderr, /\nOllama: file does not exist\n$/);
  server.close();
});

test('without an Ollama it says how to get one', async () => {
  const { host, server } = await startOllama(() => {});
  server.close();
  await once(server, 'close');
  const { code, stderr } = await run(['model', 'pull', 'x'], { cwd, env: { OLLAMA_HOST: host } });
  assert.equal(code, 1);
  assert.match(stderr, /^ollama at .* cannot be reached: .*\. Start Ollama, or set OLLAMA_HOST to where it is\.\n$/);
});
