/** `mcpServers` of `parlance.config.json`, in the shape that other programs have made usual. */

import { z } from 'zod';
import type { McpReach, McpServer } from '../adapters/mcp/settings.ts';

export const serverName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/, 'must be named with 1–32 of a–z, A–Z, 0–9, "_" and "-"')
  .refine((name) => name !== 'web', 'must not be named "web", which is what this server searches with');

const text = z.string().max(10_000, 'must be at most 10000 characters');
const toolName = z.string().min(1, 'must not be empty').max(128, 'must be at most 128 characters');
const approval = z.enum(['always', 'never', 'writes']);

export const mcpServer = z.strictObject({
  /** Others write it; what is given says it as well. */
  type: z.enum(['stdio', 'http', 'streamable-http']).optional(),
  command: text.min(1, 'must not be empty').optional(),
  args: z.array(text).max(200, 'must hold at most 200').optional(),
  env: z.record(z.string(), text).optional(),
  cwd: text.min(1, 'must not be empty').optional(),
  url: text.optional(),
  headers: z.record(z.string(), text).optional(),
  tools: z.array(toolName).max(1000, 'must hold at most 1000').optional(),
  approve: z
    .union(
      [approval, z.record(toolName, approval)],
      'must be "always", "never" or "writes", or one of these for each tool',
    )
    .default('writes'),
  disabled: z.boolean().default(false),
});

const REFERENCE = /\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)\}/g;
const SECRET = /key|token|secret|passw|auth|credential/i;
const LOGIN = /:\/\/[^/@]*:[^/@]*@/;
/** Shorter values are in every other word. */
const SHORTEST_SECRET = 6;

/**
 * @param env where `${NAME}` in `args`, `env`, `url` and `headers` is looked up
 * @param report is given every problem as a sentence; what comes back is then not to be used
 */
export function toMcpServer(
  name: string,
  given: z.infer<typeof mcpServer>,
  env: Record<string, string | undefined>,
  report: (problem: string) => void,
): McpServer {
  const secrets = new Set<string>();
  const keep = (value: string) => {
    if (value.length >= SHORTEST_SECRET) secrets.add(value);
  };
  const filled = (value: string, where: string) =>
    value.replace(REFERENCE, (_whole, variable: string) => {
      const found = env[variable];
      if (found === undefined) report(`mcpServers.${name}.${where} names ${variable}, which is not set.`);
      if (SECRET.test(variable) || LOGIN.test(found ?? '')) keep(found ?? '');
      return found ?? '';
    });
  const filledAll = (values: Record<string, string>, where: string, isSecret: (field: string) => boolean) =>
    Object.fromEntries(
      Object.entries(values).map(([field, value]) => {
        const text = filled(value, `${where}.${field}`);
        // Of `Bearer abc` what counts is `abc`.
        if (isSecret(field)) for (const part of [text, text.split(' ').at(-1) ?? '']) keep(part);
        return [field, text];
      }),
    );

  const { command, url: address, tools = null, approve } = given;
  if ((command === undefined) === (address === undefined)) {
    report(`mcpServers.${name} must have a command or a url, and not both.`);
  }
  for (const field of ['args', 'env', 'cwd'] as const) {
    if (command === undefined && given[field] !== undefined) report(`mcpServers.${name}.${field} needs a command.`);
  }
  if (address === undefined && given.headers !== undefined) report(`mcpServers.${name}.headers needs a url.`);
  const reach: McpReach =
    command === undefined
      ? {
          kind: 'http',
          url: checkUrl(filled(address ?? '', 'url'), (problem) => report(`mcpServers.${name}.url ${problem}`)),
          headers: filledAll(given.headers ?? {}, 'headers', () => true),
        }
      : {
          kind: 'stdio',
          command,
          args: (given.args ?? []).map((arg, i) => filled(arg, `args[${i}]`)),
          env: filledAll(given.env ?? {}, 'env', (field) => SECRET.test(field)),
          cwd: given.cwd ?? null,
        };
  return { name, reach, tools, approve, secrets: [...secrets] };
}

/** As it is written: a path's last slash and a query may matter to the server. */
function checkUrl(given: string, report: (problem: string) => void): string {
  if (given === '') return given;
  const parsed = URL.canParse(given) ? new URL(given) : null;
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) report('must be an http or https URL.');
  else if (parsed.username !== '' || parsed.password !== '') report('must not hold a user name or a password.');
  return given;
}
