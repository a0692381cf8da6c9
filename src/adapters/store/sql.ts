/** How units speak to a database: statements that are built and compiled once, and run with named values. */

import type { Compilable, OperationNodeSource } from 'kysely';

export type Value = string | number | null;

/**
 * A statement is a function from named placeholders to a query. An adapter calls it once, ever, and keeps the compiled
 * text; `p.id` in it stands for the value named `id` of each run.
 */
export type Statement<P, R> = (p: P) => Compilable<R> & OperationNodeSource;

/** SQLite answers at once, a database over a socket later: units `await` either. */
export interface Sql {
  /** The rows of a select, or of `returning`. */
  all<P extends object, R>(statement: Statement<P, R>, values: P): R[] | Promise<R[]>;
  /** The first of them. */
  first<P extends object, R>(statement: Statement<P, R>, values: P): R | undefined | Promise<R | undefined>;
  /** Inserts one row and gives the number the database gave it (`row`, `sequence`): cheaper on SQLite than `returning`. */
  insert<P extends object, R>(statement: Statement<P, R>, values: P): number | Promise<number>;
  /** Runs a statement without rows and says how many rows it changed. */
  run<P extends object, R>(statement: Statement<P, R>, values: P): number | Promise<number>;
}

/** A compiled statement: the values it wants, in order. A constant of the query stands as `{ constant }`. */
export interface Compiled {
  text: string;
  parameters: ({ placeholder: string } | { constant: Value })[];
}

class Placeholder {
  readonly placeholder: string;
  constructor(name: string) {
    this.placeholder = name;
  }
}

/** Every property is the placeholder of its name; the type is that of the values it will stand for. */
const placeholders = new Proxy({}, { get: (_, name) => new Placeholder(String(name)) });

/** Compiles a statement with a dialect's compiler. */
export function compile<P, R>(
  statement: Statement<P, R>,
  compiler: (query: Compilable<R> & OperationNodeSource) => { sql: string; parameters: readonly unknown[] },
): Compiled {
  const { sql, parameters } = compiler(statement(placeholders as P));
  return {
    text: sql,
    parameters: parameters.map((value) =>
      value instanceof Placeholder ? { placeholder: value.placeholder } : { constant: value as Value },
    ),
  };
}
