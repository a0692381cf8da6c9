/** How units speak to a database: SQL texts with named values, prepared once and run with an object of them. */

import type { Row, Tables } from './tables.ts';

export type Value = string | number | null;

/** A text in which `:id` stands for the value named `id`. `P` are its values, `R` its rows. */
export interface Statement<P, R> {
  readonly text: string;
  /** Never there: it keeps the types. */
  readonly types?: (values: P) => R;
}

/**
 * The SQL is what SQLite and PostgreSQL have in common. A number of rows is written `limit :limit + 0`: SQLite plans by
 * the value of a bare one, and so compiles the whole statement anew at every run (20 to 200 µs).
 */
export function statement<P extends object, R = never>(text: string): Statement<P, R> {
  return { text };
}

/** Inserts one row: these columns, each from the value of its name. `more` is what follows, such as `on conflict …`. */
export function insertInto<T extends keyof Tables, C extends keyof Row<T> & string>(
  table: T,
  columns: readonly C[],
  more = '',
): Statement<Pick<Row<T>, C>, never> {
  const names = columns.map((column) => `"${column}"`).join(', ');
  const values = columns.map((column) => `:${column}`).join(', ');
  return { text: `insert into ${table} (${names}) values (${values}) ${more}` };
}

/** SQLite answers at once, a database over a socket later: units `await` either. */
export interface Sql {
  all<P extends object, R>(statement: Statement<P, R>, values: P): R[] | Promise<R[]>;
  /** The first row. */
  first<P extends object, R>(statement: Statement<P, R>, values: P): R | undefined | Promise<R | undefined>;
  /** Inserts one row and gives the number the database gave it (`row`, `sequence`): cheaper on SQLite than `returning`. */
  insert<P extends object, R>(statement: Statement<P, R>, values: P): number | Promise<number>;
  /** Runs a statement without rows and says how many rows it changed. */
  run<P extends object, R>(statement: Statement<P, R>, values: P): number | Promise<number>;
  /** The feed of this user has a new line: whoever follows it is told once the unit is committed. */
  changed(tenant: string, user: string): void;
}

/** A text with a database's own placeholders, and the names of the values these want, in order. */
export function withPlaceholders(
  text: string,
  placeholder: (number: number) => string,
): { text: string; names: string[] } {
  const names: string[] = [];
  const placed = text.replace(/:([A-Za-z_]+)/g, (_, name: string) => {
    if (!names.includes(name)) names.push(name);
    return placeholder(names.indexOf(name) + 1);
  });
  return { text: placed, names };
}
