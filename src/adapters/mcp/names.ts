/** Names of tools as every provider takes them: 1–64 of a–z, A–Z, 0–9, `_` and `-`, each once. */

const MAX_NAME = 64;

/**
 * `files__read_file` for the tool `read_file` of the server `files`: given name → the tool's own. The same list gives the
 * same names.
 */
export function nameTools(server: string, tools: readonly string[]): Map<string, string> {
  const names = new Map<string, string>();
  for (const tool of new Set(tools)) {
    const whole = `${server}__${tool}`.replace(/[^A-Za-z0-9_-]/g, '_');
    let name = whole.slice(0, MAX_NAME);
    for (let n = 2; names.has(name); n++) name = `${whole.slice(0, MAX_NAME - `_${n}`.length)}_${n}`;
    names.set(name, tool);
  }
  return names;
}
