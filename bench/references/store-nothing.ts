/**
 * Reference for storing a message: a Fastify route that takes and answers the same JSON as `POST /conversations/create`
 * and stores nothing. PORT.
 */
import { randomUUID } from 'node:crypto';
import Fastify from 'fastify';

type Entry = { chat_id: string; role: 'Human' | 'Assistant'; message: string };

const server = Fastify({ logger: false, keepAliveTimeout: 300_000 });
const body = {
  type: 'object',
  required: ['chat_id', 'role', 'message'],
  properties: {
    chat_id: { type: 'string', maxLength: 255 },
    role: { enum: ['Human', 'Assistant'] },
    message: { type: 'string', minLength: 1, maxLength: 1 << 20 },
  },
};

server.get('/readyz', () => ({ status: 'ready' }));
server.post<{ Body: Entry }>('/conversations/create', { schema: { body } }, (request, reply) => {
  const { chat_id, role, message } = request.body;
  const now = new Date().toISOString();
  reply.code(201);
  return reply.send({ id: randomUUID(), role, chat_id, message, created_at: now, updated_at: now });
});

await server.listen({ host: '127.0.0.1', port: Number(process.env.PORT) });
process.on('SIGTERM', () => process.exit(0));
