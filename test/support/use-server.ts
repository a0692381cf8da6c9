/** A server and the model it asks, for all tests of a file: `const { model, server } = await useServer();` */

import { after } from 'node:test';
import { type ModelServer, startModelServer } from './model-server.ts';
import { startServer, type TestServer } from './server.ts';

/** Both are closed when the file's tests are over. */
export async function useServer(env: Record<string, string> = {}): Promise<{ model: ModelServer; server: TestServer }> {
  const model = await startModelServer();
  after(() => model.close());
  const server = await startServer({ model: model.url, env });
  after(() => server.close());
  return { model, server };
}
