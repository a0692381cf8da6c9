/** What is configured of one MCP server. */

export interface McpServer {
  name: string;
  reach: McpReach;
  /** The only tools of it that are used; null for all. */
  tools: string[] | null;
  approve: Approve;
  /** What must never be shown: values of its environment and headers. */
  secrets: string[];
}

export type McpReach =
  | { kind: 'stdio'; command: string; args: string[]; env: Record<string, string>; cwd: string | null }
  | { kind: 'http'; url: string; headers: Record<string, string> };

/**
 * Which calls a person has to approve: all, none, or those of tools that do not say that they only read (`writes`, the
 * default). By tool, with `*` for those that are not named.
 */
export type Approve = Approval | Record<string, Approval>;
export type Approval = 'always' | 'never' | 'writes';

/** @param readOnly what the tool says of itself */
export function needsApproval(approve: Approve, tool: string, readOnly: boolean): boolean {
  const rule = typeof approve === 'string' ? approve : (own(approve, tool) ?? own(approve, '*') ?? 'writes');
  return rule === 'always' || (rule === 'writes' && !readOnly);
}

function own(rules: Record<string, Approval>, tool: string): Approval | undefined {
  return Object.hasOwn(rules, tool) ? rules[tool] : undefined;
}
