/** `Sql` on a connection of `node:sqlite`: each statement is compiled and prepared once, and answers at once. */

import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { createQueryId, SqliteQueryCompiler } from 'kysely';
import { compile, type Sql, type Statement, type Value } from './sql.ts';

interface Prepared {
  statement: StatementSync;
  /** The values in the order of the placeholders. */
  bind: (values: object) => Value[];
}

export function openSql(database: DatabaseSync): Sql {
  const compiler = new SqliteQueryCompiler();
  const prepared = new Map<unknown, Prepared>();

  function prepare<P extends object, R>(statement: Statement<P, R>): Prepared {
    const { text, parameters } = compile(statement, (query) =>
      compiler.compileQuery(query.toOperationNode() as Parameters<typeof compiler.compileQuery>[0], createQueryId()),
    );
    const made = {
      statement: database.prepare(text),
      bind: (values: object) =>
        parameters.map((parameter) =>
          'constant' in parameter ? parameter.constant : (values as Record<string, Value>)[parameter.placeholder],
        ) as Value[],
    };
    prepared.set(statement, made);
    return made;
  }

  return {
    all<P extends object, R>(statement: Statement<P, R>, values: P): R[] {
      const { statement: it, bind } = prepared.get(statement) ?? prepare(statement);
      return it.all(...bind(values)) as R[];
    },
    first<P extends object, R>(statement: Statement<P, R>, values: P): R | undefined {
      const { statement: it, bind } = prepared.get(statement) ?? prepare(statement);
      return it.get(...bind(values)) as R | undefined;
    },
    run<P extends object, R>(statement: Statement<P, R>, values: P): number {
      const { statement: it, bind } = prepared.get(statement) ?? prepare(statement);
      return Number(it.run(...bind(values)).changes);
    },
  };
}
