/** Plausible arguments for a tool, from its JSON Schema: enough to try a client's tool calls without a model. */

type Schema = Record<string, unknown>;

const MAX_DEPTH = 8;
const MAX_PROPERTIES = 50;
const MAX_LENGTH = 1000;

const FORMATS: Record<string, string> = {
  date: '2026-01-31',
  'date-time': '2026-01-31T12:00:00Z',
  time: '12:00:00Z',
  duration: 'PT1H',
  email: 'someone@example.org',
  hostname: 'example.org',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  uri: 'https://example.org/',
  url: 'https://example.org/',
  uuid: '00000000-0000-4000-8000-000000000000',
};

/**
 * A value that fits `schema`: its own default, example or first choice where it has one, else `word` for a text. Knows the
 * usual keywords of JSON Schema 2020-12; `pattern` and conditions are not obeyed.
 */
export function exampleFor(schema: unknown, word: string): unknown {
  return build(schema, 0);

  function build(given: unknown, depth: number): unknown {
    const shape = resolve(given);
    if (shape === null || depth > MAX_DEPTH) return null;
    if ('const' in shape) return shape.const;
    if ('default' in shape) return shape.default;
    for (const choices of [shape.examples, shape.enum])
      if (Array.isArray(choices) && choices.length > 0) return choices[0];
    for (const choices of [shape.anyOf, shape.oneOf]) {
      if (!Array.isArray(choices)) continue;
      return build(choices.find((choice) => typeOf(resolve(choice)) !== 'null') ?? null, depth + 1);
    }
    if (Array.isArray(shape.allOf)) {
      const { allOf, ...rest } = shape;
      const parts = [rest, ...allOf].map(resolve).filter((part) => part !== null);
      return build(merge(parts), depth + 1);
    }
    switch (typeOf(shape)) {
      case 'object':
        return buildObject(shape, depth);
      case 'array': {
        const tuple = Array.isArray(shape.prefixItems) ? shape.prefixItems : [shape.items ?? { type: 'string' }];
        return tuple.slice(0, MAX_PROPERTIES).map((item) => build(item, depth + 1));
      }
      case 'integer':
        return numberFor(shape, 1);
      case 'number':
        return numberFor(shape, 0);
      case 'boolean':
        return true;
      case 'null':
        return null;
      default:
        return textFor(shape, word);
    }
  }

  /** What is required; where nothing is said about that, everything. */
  function buildObject(shape: Schema, depth: number): unknown {
    const properties = isSchema(shape.properties) ? shape.properties : {};
    const names = Array.isArray(shape.required) ? shape.required : Object.keys(properties);
    const entries = names
      .filter((name) => typeof name === 'string')
      .slice(0, MAX_PROPERTIES)
      .map((name) => [name, build(Object.hasOwn(properties, name) ? properties[name] : {}, depth + 1)]);
    return Object.fromEntries(entries);
  }

  /** Follows `$ref` within the schema. */
  function resolve(given: unknown): Schema | null {
    let shape = given;
    for (let hops = 0; hops <= MAX_DEPTH; hops++) {
      if (shape === true) return {};
      if (!isSchema(shape)) return null;
      if (typeof shape.$ref !== 'string') return shape;
      let target: unknown = schema;
      for (const step of shape.$ref.replace(/^#\/?/, '').split('/').filter(Boolean)) {
        const name = step.replaceAll('~1', '/').replaceAll('~0', '~');
        target = isSchema(target) && Object.hasOwn(target, name) ? target[name] : null;
      }
      shape = target;
    }
    return null;
  }
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function typeOf(shape: Schema | null): string {
  if (shape === null) return 'null';
  const types = Array.isArray(shape.type) ? shape.type : [shape.type];
  const type = types.find((name) => name !== 'null') ?? types[0];
  if (typeof type === 'string') return type;
  if ('properties' in shape || 'required' in shape) return 'object';
  return 'items' in shape || 'prefixItems' in shape ? 'array' : 'string';
}

function merge(parts: readonly Schema[]): Schema {
  const properties = Object.assign({}, ...parts.map((part) => part.properties));
  const required = parts.flatMap((part) => (Array.isArray(part.required) ? part.required : []));
  return { ...Object.assign({}, ...parts), properties, required };
}

/** The number nearest to 1 that is allowed, in whole `step`s (0: any). */
function numberFor(shape: Schema, step: number): number {
  const bound = (name: string, missing: number) => (typeof shape[name] === 'number' ? shape[name] : missing);
  const multiple = bound('multipleOf', step);
  const beyond = multiple || 1;
  const least = Math.max(bound('minimum', -Infinity), bound('exclusiveMinimum', -Infinity) + beyond);
  const most = Math.min(bound('maximum', Infinity), bound('exclusiveMaximum', Infinity) - beyond);
  if (least > most) return (bound('exclusiveMinimum', least) + bound('exclusiveMaximum', most)) / 2;
  const value = Math.max(least, Math.min(most, 1));
  return multiple > 0 ? Math.ceil(value / multiple) * multiple : value;
}

function textFor(shape: Schema, word: string): string {
  if (typeof shape.format === 'string' && Object.hasOwn(FORMATS, shape.format)) return FORMATS[shape.format] ?? word;
  const least = typeof shape.minLength === 'number' ? Math.min(shape.minLength, MAX_LENGTH) : 0;
  const most = typeof shape.maxLength === 'number' ? shape.maxLength : MAX_LENGTH;
  return word.padEnd(least, '.').slice(0, most).toWellFormed();
}
