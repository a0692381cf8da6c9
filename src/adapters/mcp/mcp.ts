/** The MCP servers of a configuration, as tools for the assistants that list them. */

import type { Tool } from '@modelcontextprotocol/client';
import type { Assistant } from '#core/conversation.ts';
import type { Run } from '#core/run.ts';
import type { Clock } from '#ports/clock.ts';
import type { Offer, ServerTool, ToolSource } from '#ports/tools.ts';
import { createDispatcher, type ProxySettings } from './bounded-fetch.ts';
import { type Connection, createConnection } from './connection.ts';
import { hideSecrets } from './errors.ts';
import { nameTools } from './names.ts';
import { toToolResult } from './result.ts';
import { type McpServer, needsApproval } from './settings.ts';

/** What a server has, for `doctor`. */
export interface McpReport {
  name: string;
  /** How many tools may be used, and how many of them a person has to approve. */
  tools: number;
  approved: number;
  /** Why it cannot be used; null if it can. */
  problem: string | null;
  /** Names of the configuration that it has no tool for. */
  unknown: string[];
}

export interface Mcp extends ToolSource {
  /** Connects to all servers and says what they have. */
  report(assistants: readonly Assistant[]): Promise<McpReport[]>;
  /** Ends what was started. */
  close(): Promise<void>;
}

/** An answer does not wait longer for a server that has to start first: it is begun without, and the next one has it. */
const PATIENCE_MS = 10_000;
const REPORT_MS = 30_000;
const MAX_TOOLS = 128;
const MAX_DESCRIPTION = 4_000;
const MAX_SCHEMA = 64 * 1024;

/** Nothing is started or connected before it is needed. */
export function createMcp(
  servers: readonly McpServer[],
  parts: { clock: Clock; version: string; proxy: ProxySettings; onProblem(says: string): void },
): Mcp {
  const { clock, version, proxy, onProblem } = parts;
  const dispatcher = createDispatcher(proxy);
  const connections = new Map<string, { server: McpServer; connection: Connection }>();
  for (const server of servers) {
    const connection = createConnection(server, { clock, version, dispatcher, onProblem });
    connections.set(server.name, { server, connection });
  }
  return { offer, report, close };

  async function offer(_run: Run, assistant: Assistant, signal: AbortSignal): Promise<Offer> {
    const offers = await Promise.all(wanted(assistant.tools).map(([name, some]) => offerOf(name, some, signal)));
    return { tools: offers.flatMap(({ tools }) => tools), notes: offers.flatMap(({ notes }) => notes) };
  }

  /** @param some the tools that are listed; null for all */
  async function offerOf(name: string, some: ReadonlySet<string> | null, signal: AbortSignal): Promise<Offer> {
    const it = connections.get(name);
    if (it === undefined) return { tools: [], notes: [] };
    try {
      const all = usable(it.server, await it.connection.tools(PATIENCE_MS, signal));
      return { tools: all.filter(({ tool }) => some?.has(tool) ?? true).map(({ offered }) => offered), notes: [] };
    } catch {
      return {
        tools: [],
        notes: [`The tools of "${name}" cannot be reached at the moment: say so if they are needed.`],
      };
    }
  }

  /** What may be used of a server, under the names that models call it by. */
  function usable(server: McpServer, tools: readonly Tool[]): { tool: string; offered: ServerTool }[] {
    const byName = new Map(tools.map((tool) => [tool.name, tool]));
    const allowed = [...byName.keys()].filter((name) => server.tools?.includes(name) ?? true).slice(0, MAX_TOOLS);
    return [...nameTools(server.name, allowed)].flatMap(([name, tool]) => {
      const given = byName.get(tool);
      if (given === undefined || JSON.stringify(given.inputSchema).length > MAX_SCHEMA) return [];
      return { tool, offered: toServerTool(server, name, given) };
    });
  }

  function toServerTool(server: McpServer, name: string, tool: Tool): ServerTool {
    const { $schema: _, ...schema } = tool.inputSchema as Record<string, unknown>;
    return {
      name,
      description: (tool.description ?? tool.title ?? tool.name).slice(0, MAX_DESCRIPTION).toWellFormed(),
      // Some providers refuse an object without a list of its properties.
      parameters: { properties: {}, ...schema, type: 'object' },
      server: server.name,
      needsApproval: needsApproval(server.approve, tool.name, tool.annotations?.readOnlyHint === true),
      async call(given, { signal }) {
        const { connection } = connections.get(server.name) ?? {};
        if (connection === undefined) throw new Error('The server is not configured any more.');
        const { text, isError } = toToolResult(await connection.call(tool.name, given, signal));
        return { text: hideSecrets(text, server.secrets), isError };
      },
    };
  }

  function report(assistants: readonly Assistant[]): Promise<McpReport[]> {
    const listed = assistants.flatMap(({ tools }) => tools);
    return Promise.all(
      [...connections.values()].map(async ({ server, connection }): Promise<McpReport> => {
        const { name } = server;
        const none = { name, tools: 0, approved: 0, unknown: [] };
        try {
          const all = await connection.tools(REPORT_MS, new AbortController().signal);
          const names = new Set(all.map((tool) => tool.name));
          const offered = usable(server, all).map((tool) => tool.offered);
          const named = listed
            .filter((entry) => entry.startsWith(`${name}/`))
            .map((entry) => entry.slice(name.length + 1));
          const unknown = [...new Set([...(server.tools ?? []), ...named])].filter((tool) => !names.has(tool));
          const approved = offered.filter((tool) => tool.needsApproval).length;
          return { name, tools: offered.length, approved, problem: null, unknown };
        } catch (error) {
          return { ...none, problem: (error as Error).message };
        }
      }),
    );
  }

  async function close(): Promise<void> {
    await Promise.all([...connections.values()].map(({ connection }) => connection.close()));
    await dispatcher.close().catch(() => undefined);
  }
}

/** `files` is all tools of a server, `files/read_file` one of them: server → its tools, null for all. */
function wanted(entries: readonly string[]): [string, ReadonlySet<string> | null][] {
  const servers = new Map<string, Set<string> | null>();
  for (const entry of entries) {
    const slash = entry.indexOf('/');
    const server = slash === -1 ? entry : entry.slice(0, slash);
    if (slash === -1) servers.set(server, null);
    else if (servers.get(server) !== null) {
      servers.set(server, (servers.get(server) ?? new Set()).add(entry.slice(slash + 1)));
    }
  }
  return [...servers];
}
