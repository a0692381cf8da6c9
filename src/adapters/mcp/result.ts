/** What an MCP server gave as text for a model: what is no text is described, never left out in silence. */

import type { CallToolResult } from '@modelcontextprotocol/client';
import type { ToolResult } from '#ports/tools.ts';

type Content = CallToolResult['content'][number];

/** Content that says nothing is followed by the structured content, if there is any. */
export function toToolResult(given: CallToolResult): ToolResult {
  const isError = given.isError === true;
  const text = (Array.isArray(given.content) ? given.content : []).map(textOf).join('\n\n');
  if (text !== '') return { text, isError };
  if (given.structuredContent !== undefined) return { text: JSON.stringify(given.structuredContent), isError };
  return { text: isError ? 'The tool failed and did not say why.' : 'The tool gave no text.', isError };
}

function textOf(content: Content): string {
  switch (content.type) {
    case 'text':
      return content.text;
    case 'image':
    case 'audio':
      return `[${content.type}, ${content.mimeType}, ${sizeOf(content.data)}: not shown]`;
    case 'resource': {
      const { resource } = content;
      if ('text' in resource) return `[${resource.uri}]\n${resource.text}`;
      return `[${resource.uri}, ${resource.mimeType ?? 'of unknown type'}, ${sizeOf(resource.blob)}: not shown]`;
    }
    case 'resource_link':
      return `[${content.uri}: ${[content.title ?? content.name, content.description].filter(Boolean).join(', ')}]`;
    default:
      return `[content of the type ${JSON.stringify((content as { type: unknown }).type)}: not shown]`;
  }
}

/** Of base64 text. */
function sizeOf(data: string): string {
  const bytes = Math.floor((data.length * 3) / 4);
  return bytes < 1024 ? `${bytes} bytes` : `${Math.ceil(bytes / 1024)} KiB`;
}
