/** The page `/docs`: reads `/openapi.json` and shows every call, how to make it, and what it answers. */

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

const at = (id) => document.getElementById(id);

/** An element with properties, attributes (by their hyphen or `for`) and children. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null));
  return element;
}

try {
  const answer = await fetch('/openapi.json');
  if (!answer.ok) throw new Error(`/openapi.json answered ${answer.status}. Outside local mode it needs a key.`);
  show(await answer.json());
} catch (error) {
  at('state').textContent = `The calls cannot be shown: ${error.message}`;
}

function show(api) {
  at('version').textContent = api.info.version;
  at('state').remove();
  const calls = Object.entries(api.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method] !== undefined).map((method) => callOf(api, path, method, item[method])),
  );
  for (const tag of api.tags) {
    const own = calls.filter(({ call }) => call.tags[0] === tag.name);
    if (own.length === 0) continue;
    const heading = make('h2', { id: `api-${tag.name}` }, `${tag.name} `, make('small', {}, tag.description));
    const section = make('section', {}, heading, ...own.map(({ element }) => element));
    section.setAttribute('aria-labelledby', heading.id);
    at('calls').append(section);
    at('sections').append(make('a', { href: `#${heading.id}` }, tag.name));
  }
  at('filter').addEventListener('input', () => filter(calls));
  addEventListener('hashchange', openLinked);
  filter(calls);
  openLinked();
}

/** Opens and shows the call that the address names. */
function openLinked() {
  const linked = at(decodeURIComponent(location.hash.slice(1)));
  if (linked === null) return;
  if (linked instanceof HTMLDetailsElement) linked.open = true;
  linked.scrollIntoView();
}

function filter(calls) {
  const words = at('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const { element, text } of calls) {
    element.hidden = !words.every((word) => text.includes(word));
    if (!element.hidden) shown++;
  }
  for (const section of document.querySelectorAll('main section')) {
    section.hidden = section.querySelector('details:not([hidden])') === null;
  }
  at('found').textContent = `${shown} of ${calls.length} calls`;
}

/** One call: its element, filled when it is first opened, and the text it is found by. */
function callOf(api, path, method, call) {
  const socket = call['x-websocket'] !== undefined;
  const name = socket ? 'socket' : method;
  const body = make('div', { className: 'body' });
  const element = make(
    'details',
    { id: call.operationId },
    make(
      'summary',
      {},
      make('span', { className: `method ${name}` }, name.toUpperCase()),
      make('code', { className: 'path' }, path),
      make('span', { className: 'words' }, call.summary),
    ),
    body,
  );
  element.addEventListener('toggle', () => {
    if (element.open && body.childElementCount === 0) body.append(...detailsOf(api, path, method, call));
  });
  return { call, element, text: `${name} ${path} ${call.summary} ${call.tags.join(' ')}`.toLowerCase() };
}

function detailsOf(api, path, method, call) {
  const key =
    call.security.length === 0
      ? 'no key'
      : call.security.some((one) => !('key' in one))
        ? 'a key, or none in local mode'
        : 'a key';
  const [type, media] = Object.entries(call.requestBody?.content ?? {})[0] ?? [];
  const example = media === undefined ? undefined : (media.example ?? sample(api, media.schema));
  return [
    make('p', {}, `Needs ${key}; scope ${call['x-scope']}.`),
    ...copied('Try it', commandOf(path, method, call, type, example)),
    ...parametersOf(api, call.parameters),
    ...(media === undefined ? [] : titled('Body', typeOf(api, media.schema))),
    make('h3', {}, 'Answers'),
    ...Object.entries(call.responses).flatMap(([status, answer]) => answerOf(api, status, answer)),
  ];
}

function parametersOf(api, parameters) {
  if (parameters.length === 0) return [];
  const rows = parameters.map(({ name, in: place, required, description, schema }) =>
    make(
      'tr',
      {},
      make('td', {}, make('code', {}, name)),
      make('td', {}, `${place}${required ? ', required' : ''}`),
      make('td', {}, make('code', {}, typeOf(api, schema)), description === undefined ? null : ` ${description}`),
    ),
  );
  const head = ['Name', 'Where', 'What'].map((text) => make('th', { scope: 'col' }, text));
  return [
    make('h3', {}, 'Parameters'),
    make('table', {}, make('thead', {}, make('tr', {}, ...head)), make('tbody', {}, ...rows)),
  ];
}

function answerOf(api, status, { description, content }) {
  const [type, media] = Object.entries(content ?? {})[0] ?? [];
  const line = make('p', {}, make('strong', {}, status), ` ${description}`);
  if (type === undefined) return [line];
  const { example, schema } = media;
  const shown = typeof example === 'string' ? example : JSON.stringify(example, null, status < '400' ? 2 : 0);
  return [
    line,
    ...(schema === undefined ? [] : [make('pre', { tabIndex: 0 }, typeOf(api, schema))]),
    ...(example === undefined ? [] : [make('pre', { tabIndex: 0 }, shown)]),
  ];
}

function titled(title, text) {
  return [make('h3', {}, title), make('pre', { tabIndex: 0 }, text)];
}

function copied(title, text) {
  const button = make('button', { type: 'button' }, 'Copy');
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'Copied';
    } catch {
      button.textContent = 'Select and copy it';
    }
  });
  return [make('div', { className: 'head' }, make('h3', {}, title), button), make('pre', { tabIndex: 0 }, text)];
}

/** How to make a call from a shell; a socket from a script. */
function commandOf(path, method, call, type, example) {
  const required = call.parameters.filter(({ in: place, required }) => place === 'query' && required);
  const query = required.map(({ name }) => `${name}=…`).join('&');
  const target = `${location.host}${path}${query === '' ? '' : `?${query}`}`;
  if (call['x-websocket'] !== undefined) {
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    return `const socket = new WebSocket('${scheme}://${target}');\nsocket.onmessage = ({ data }) => console.log(data);`;
  }
  const streams = Object.values(call.responses).some(({ content }) => content?.['text/event-stream'] !== undefined);
  const parts = [
    `curl${streams ? ' -N' : ''}${method === 'get' ? '' : ` -X ${method.toUpperCase()}`} ${quoted(`${location.protocol}//${target}`)}`,
  ];
  // This page is shown without a key in local mode alone; there a made-up one would be refused.
  if (call.security.length > 0 && call.security.every((one) => 'key' in one))
    parts.push(`-H ${quoted('Authorization: Bearer plk_…')}`);
  if (type === 'application/json') {
    parts.push(`-H ${quoted('Content-Type: application/json')}`, `-d ${quoted(JSON.stringify(example))}`);
  } else if (type !== undefined) {
    for (const [name, value] of Object.entries(example)) parts.push(`--data-urlencode ${quoted(`${name}=${value}`)}`);
  }
  return parts.join(' \\\n  ');
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** A schema as people write types: `{ title: string, limit?: integer 1–100 }`. */
function typeOf(api, schema, indent = '') {
  const { $ref, anyOf, oneOf, allOf, enum: values, type } = schema;
  if ($ref !== undefined) return $ref.split('/').at(-1);
  if (values !== undefined) return values.map((value) => JSON.stringify(value)).join(' | ');
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const options = anyOf ?? oneOf;
  if (options !== undefined) return options.map((option) => typeOf(api, option, indent)).join(' | ');
  if (allOf !== undefined) return allOf.map((part) => typeOf(api, part, indent)).join(' & ');
  if (type === 'array') return `${typeOf(api, schema.items ?? {}, indent)}[]`;
  if (type === 'object' && schema.properties !== undefined) {
    const inner = `${indent}  `;
    const lines = Object.entries(schema.properties).map(([name, property]) => {
      const mark = schema.required?.includes(name) ? '' : '?';
      return `${inner}${name}${mark}: ${typeOf(api, property, inner)}`;
    });
    return `{\n${lines.join('\n')}\n${indent}}`;
  }
  return `${Array.isArray(type) ? type.join(' | ') : (type ?? 'any')}${boundsOf(schema)}`;
}

function boundsOf({ minLength, maxLength, minimum, maximum, format }) {
  if (format !== undefined) return ` (${format})`;
  const low = minLength ?? minimum;
  const high = maxLength ?? maximum;
  if (low === undefined && high === undefined) return '';
  if (Math.abs(high) === Number.MAX_SAFE_INTEGER) return low === undefined || low < 0 ? '' : ` ≥ ${low}`;
  const unit = minLength === undefined && maxLength === undefined ? '' : ' characters';
  if (high === undefined) return ` ≥ ${low}${unit}`;
  return low === undefined ? ` ≤ ${high}${unit}` : ` ${low}–${high}${unit}`;
}

/** A value of a schema, for a call that has no example. */
function sample(api, schema) {
  const { $ref, anyOf, oneOf, enum: values, type, properties, required = [] } = schema;
  if ($ref !== undefined) return sample(api, api.components.schemas[$ref.split('/').at(-1)] ?? {});
  if (schema.const !== undefined) return schema.const;
  if (values !== undefined) return values[0];
  if (anyOf !== undefined || oneOf !== undefined) return sample(api, (anyOf ?? oneOf)[0]);
  if (type === 'array') return [sample(api, schema.items ?? {})];
  if (type === 'integer' || type === 'number') return Math.max(1, schema.minimum ?? 1);
  if (type === 'boolean') return true;
  if (type !== 'object' || properties === undefined) return type === 'object' ? {} : 'text';
  const names = required.length > 0 ? required : Object.keys(properties);
  return Object.fromEntries(names.map((name) => [name, sample(api, properties[name] ?? {})]));
}
