// The chat of the client SDK over its HTTP transport: browser code, against an application server of twenty lines.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { json } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { createHttpTransport, OctavusChat } from '@octavus/client-sdk';
import { toSSEStream } from '@octavus/server-sdk';
import { octavus, orderDesk, shownText, supportChat } from './stenograph.js';

const tools = { 'find-order': () => Promise.resolve({ total: 30 }) };

const application = createServer(async (request, response) => {
  const { sessionId, ...payload } = await json(request);
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const session = octavus.agentSessions.attach(sessionId, { tools });
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  Readable.fromWeb(toSSEStream(session.execute(payload, { signal: gone.signal }))).pipe(response);
});

before(() => once(application.listen(0, '127.0.0.1'), 'listening'));
after(() => application.close());

function chatOf(sessionId, options = {}) {
  const request = (payload, { signal } = {}) =>
    fetch(`http://127.0.0.1:${application.address().port}/`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ sessionId, ...payload }),
      signal,
    });
  return new OctavusChat({ transport: createHttpTransport({ request }), ...options });
}

function until(chat, fact) {
  return new Promise((resolve) => {
    const look = () => fact() && (stop(), resolve());
    const stop = chat.subscribe(look);
    look();
  });
}

const says = (chat, text) => chat.send('user-message', { USER_MESSAGE: text }, { userMessage: { content: text } });

test('a chat shows what was said, and the same after a reload', async () => {
  const id = await supportChat();
  const chat = chatOf(id);
  const statuses = [];
  chat.subscribe(() => statuses.at(-1) !== chat.status && statuses.push(chat.status));

  await says(chat, 'What plan am I on?');
  await until(chat, () => chat.status !== 'streaming');

  assert.equal(chat.error, null);
  assert.deepEqual(statuses, ['idle', 'streaming', 'idle']);
  assert.deepEqual(chat.messages.map(({ role }) => role), ['user', 'assistant']);
  const { messages } = await octavus.agentSessions.getMessages(id);
  assert.equal(messages[0].role, 'user');
  assert.equal(messages.slice(1).map(shownText).join(''), shownText(chat.messages[1]));
  const reloaded = chatOf(id, { initialMessages: messages });
  await says(reloaded, 'Please open a ticket');
  await until(reloaded, () => reloaded.status !== 'streaming');
  assert.match(shownText(reloaded.messages.at(-1)), /A colleague will write to you/);
});

test('a chat that is stopped keeps the beginning and goes on', async () => {
  const id = await orderDesk('slow');
  const chat = chatOf(id);

  const sending = says(chat, 'Count');
  await until(chat, () => chat.messages.length === 2 && shownText(chat.messages[1]).includes('two'));
  chat.stop();
  await sending;

  assert.equal(chat.status, 'idle');
  assert.ok(!shownText(chat.messages[1]).includes('twelve'));
  await says(chat, 'Go on');
  await until(chat, () => chat.status !== 'streaming');
  assert.equal(shownText(chat.messages.at(-1)), 'Here again: Go on');
});

test('a tool of the screen is answered by the screen', async () => {
  const seen = [];
  const clientTools = { 'pick-colour': (args) => (seen.push(args), Promise.resolve('green')) };
  const chat = chatOf(await orderDesk('mixed-tools'), { clientTools });

  await says(chat, 'One lamp, please');
  await until(chat, () => chat.status === 'idle');

  assert.deepEqual(seen, [{ colours: ['red', 'green'] }]);
  assert.match(shownText(chat.messages.at(-1)), /You picked green/);
});

test('a person answers a tool when they are ready', async () => {
  const chat = chatOf(await orderDesk('mixed-tools'), { clientTools: { 'pick-colour': 'interactive' } });

  await says(chat, 'One lamp, please');
  await until(chat, () => chat.status === 'awaiting-input');
  chat.pendingClientTools['pick-colour'][0].submit('red');
  await until(chat, () => chat.status === 'idle');

  assert.match(shownText(chat.messages.at(-1)), /You picked red/);
});
