/** An application with `useChat` of the AI SDK and nothing else: its address says which server, and which chat. */
import { useChat } from '@ai-sdk/react';
import { DefaultChatTransport } from 'ai';
import { createElement as h, useState } from 'react';
import { createRoot } from 'react-dom/client';

const asked = new URLSearchParams(location.search);
const api = `${asked.get('server')}/ui/chat`;
const id = asked.get('chat');

function App({ initial }) {
  const [text, setText] = useState('');
  const chat = useChat({ id, messages: initial, resume: true, transport: new DefaultChatTransport({ api }) });
  const { messages, status, error } = chat;
  const send = (event) => {
    event.preventDefault();
    void chat.sendMessage({ text });
    setText('');
  };
  return h(
    'div',
    null,
    h(
      'ol',
      { 'aria-label': 'Messages' },
      messages.map((message) =>
        h(
          'li',
          { key: message.id },
          `${message.role}: ${message.parts.map((part) => (part.type === 'text' ? part.text : '')).join('')}`,
          message.role === 'user' &&
            h(
              'button',
              { type: 'button', onClick: () => chat.sendMessage({ text: `${text} (edited)`, messageId: message.id }) },
              'Edit',
            ),
        ),
      ),
    ),
    h('p', { role: 'status' }, status),
    h('p', { role: 'alert' }, error?.message ?? ''),
    h(
      'form',
      { onSubmit: send },
      h('input', { 'aria-label': 'Message', value: text, onChange: (event) => setText(event.target.value) }),
      h('button', { type: 'submit' }, 'Send'),
    ),
    h('button', { type: 'button', onClick: () => fetch(`${api}/${id}/stop`, { method: 'POST' }) }, 'Stop'),
    h('button', { type: 'button', onClick: () => chat.regenerate() }, 'Regenerate'),
  );
}

const stored = await fetch(`${api}/${id}`);
createRoot(document.getElementById('root')).render(h(App, { initial: stored.ok ? await stored.json() : [] }));
