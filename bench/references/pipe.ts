/** Reference: a `node:http` relay that pipes bytes both ways and parses nothing. PORT, OPENAI_BASE_URL. */
import { Agent, createServer, request as send } from 'node:http';

const upstream = new URL(process.env.OPENAI_BASE_URL ?? '');
const agent = new Agent({ keepAlive: true });

const server = createServer({ keepAliveTimeout: 300_000 }, (request, response) => {
  if (request.url === '/readyz') {
    response.end('ready');
    return;
  }
  const { method, url: path, headers } = request;
  const call = send({ agent, host: upstream.hostname, port: upstream.port, method, path, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, { 'content-type': answer.headers['content-type'] });
    answer.pipe(response);
  });
  call.on('error', () => response.destroy());
  request.pipe(call);
});
server.listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
