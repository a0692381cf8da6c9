/** `Sql` on a connection of `node:sqlite`: each statement is prepared once, and answers at once. */

import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type Sql, type Statement, type Value, withPlaceholders } from './sql.ts';

/** `Sql` that counts the statements run so far which change something. */
export interface CountingSql extends Sql {
  writes: () => number;
  /** The users whose feeds have changed since this was last asked. */
  takeChanged: () => Feeds;
}

/** Users by tenant and id. */
export type Feeds = [tenant: string, user: string][];

interface Prepared {
  statement: StatementSync;
  /** The values it wants, in order. */
  names: string[];
  /** It changes something. */
  writes: boolean;
}

export function openSql(database: DatabaseSync): CountingSql {
  const prepared = new Map<unknown, Prepared>();
  let writes = 0;
  const changed = new Map<string, Feeds[number]>();

  function prepare<P, R>(statement: Statement<P, R>): Prepared {
    const { text, names } = withPlaceholders(statement.text, (number) => `?${number}`);
    const writes = /\b(insert into|update|delete from)\b/.test(text);
    const made = { statement: database.prepare(text), names, writes };
    prepared.set(statement, made);
    return made;
  }

  function get<P, R>(statement: Statement<P, R>): Prepared {
    const it = prepared.get(statement) ?? prepare(statement);
    if (it.writes) writes++;
    return it;
  }

  return {
    all<P extends object, R>(statement: Statement<P, R>, values: P): R[] {
      const it = get(statement);
      return it.statement.all(...bind(it, values)) as R[];
    },
    first<P extends object, R>(statement: Statement<P, R>, values: P): R | undefined {
      const it = get(statement);
      return it.statement.get(...bind(it, values)) as R | undefined;
    },
    insert<P extends object, R>(statement: Statement<P, R>, values: P): number {
      const it = get(statement);
      return Number(it.statement.run(...bind(it, values)).lastInsertRowid);
    },
    run<P extends object, R>(statement: Statement<P, R>, values: P): number {
      const it = get(statement);
      return Number(it.statement.run(...bind(it, values)).changes);
    },
    changed: (tenant, user) => void changed.set(`${tenant}\0${user}`, [tenant, user]),
    writes: () => writes,
    takeChanged: () => {
      if (changed.size === 0) return [];
      const taken = [...changed.values()];
      changed.clear();
      return taken;
    },
  };
}

function bind({ names }: Prepared, values: object): Value[] {
  return names.map((name) => (values as Record<string, Value>)[name] as Value);
}
