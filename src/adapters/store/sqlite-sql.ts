/** `Sql` on a connection of `node:sqlite`: each statement is compiled and prepared once, and answers at once. */

import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { createQueryId, SqliteQueryCompiler } from 'kysely';
import { compile, type Sql, type Statement, type Value } from './sql.ts';

interface Prepared {
  statement: StatementSync;
  /** It changes something. */
  writes: boolean;
  /** The values in the order of the placeholders. */
  bind: (values: object) => Value[];
}

/** `Sql` that counts the statements run so far which change something. */
export interface CountingSql extends Sql {
  writes: () => number;
}

export function openSql(database: DatabaseSync): CountingSql {
  const compiler = new SqliteQueryCompiler();
  let writes = 0;
  const prepared = new Map<unknown, Prepared>();

  function prepare<P extends object, R>(statement: Statement<P, R>): Prepared {
    let writes = true;
    const { text, parameters } = compile(statement, (query) => {
      const node = query.toOperationNode() as Parameters<typeof compiler.compileQuery>[0];
      writes = node.kind !== 'SelectQueryNode';
      return compiler.compileQuery(node, createQueryId());
    });
    const made = {
      statement: database.prepare(text),
      writes,
      bind: (values: object) =>
        parameters.map((parameter) =>
          'constant' in parameter ? parameter.constant : (values as Record<string, Value>)[parameter.placeholder],
        ) as Value[],
    };
    prepared.set(statement, made);
    return made;
  }

  function get<P extends object, R>(statement: Statement<P, R>): Prepared {
    const it = prepared.get(statement) ?? prepare(statement);
    if (it.writes) writes++;
    return it;
  }

  return {
    all<P extends object, R>(statement: Statement<P, R>, values: P): R[] {
      const it = get(statement);
      return it.statement.all(...it.bind(values)) as R[];
    },
    first<P extends object, R>(statement: Statement<P, R>, values: P): R | undefined {
      const it = get(statement);
      return it.statement.get(...it.bind(values)) as R | undefined;
    },
    insert<P extends object, R>(statement: Statement<P, R>, values: P): number {
      const it = get(statement);
      return Number(it.statement.run(...it.bind(values)).lastInsertRowid);
    },
    run<P extends object, R>(statement: Statement<P, R>, values: P): number {
      const it = get(statement);
      return Number(it.statement.run(...it.bind(values)).changes);
    },
    writes: () => writes,
  };
}
