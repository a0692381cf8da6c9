/** Colours for code, as elements. Loaded when it is needed. */

import { common, createLowlight } from 'lowlight';
import { Fragment, type ReactNode } from 'react';

const lowlight = createLowlight(common);
type Node = ReturnType<typeof lowlight.highlight>['children'][number];

/** The code as it is where the language is not known. */
export function highlight(code: string, language: string): ReactNode {
  const name = language.toLowerCase();
  if (!lowlight.registered(name)) return code;
  try {
    return draw(lowlight.highlight(name, code).children);
  } catch {
    return code;
  }
}

function draw(nodes: readonly Node[]): ReactNode {
  return nodes.map((node, at) => {
    if (node.type === 'text') return <Fragment key={at}>{node.value}</Fragment>;
    if (node.type !== 'element') return null;
    const names = node.properties.className;
    return (
      <span key={at} className={Array.isArray(names) ? names.join(' ') : undefined}>
        {draw(node.children as Node[])}
      </span>
    );
  });
}
