// The server SDK, as its own example uses it: a support chat whose tool a worker on NATS serves.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OctavusClient, Resource, safeParseStreamEvent, toSSEStream } from '@octavus/server-sdk';
import { all, apiKey, baseUrl, newsroom, octavus, ofType, orderDesk, says, shownText, supportChat, textOf } from './stenograph.js';

test('the agents are listed, and each is found by its id', async () => {
  const agents = await octavus.agents.list();

  const listed = agents.find((agent) => agent.slug === 'support-chat');
  assert.ok(listed.id && listed.projectId && !Number.isNaN(Date.parse(listed.createdAt)));
  const agent = await octavus.agents.get(listed.id);
  assert.equal(agent.settings.slug, 'support-chat');
  assert.match(agent.protocol, /get-user-account/);
  assert.ok(agent.prompts.some((prompt) => prompt.name === 'system'));
});

test('a session is created by the id of its agent, too', async () => {
  const agent = (await octavus.agents.list()).find((one) => one.slug === 'order-desk');

  const session = await octavus.agentSessions.create(agent.id, { MODEL: 'scripted/plain' });

  assert.equal((await octavus.agentSessions.get(session)).agentId, agent.id);
});

test('a turn streams its text and what the worker answered', async () => {
  const session = octavus.agentSessions.attach(await supportChat());

  const events = await all(session.execute(says('What plan am I on?')));

  assert.equal(events[0].type, 'start');
  assert.ok(events[0].executionId);
  assert.equal(events.at(-1).type, 'finish');
  assert.equal(events.at(-1).finishReason, 'stop');
  assert.equal(ofType(events, 'error').length, 0);
  assert.equal(ofType(events, 'client-tool-request').length, 0);
  const [called] = ofType(events, 'tool-input-available');
  assert.deepEqual([called.toolName, called.input], ['get-user-account', { userId: 'user-123' }]);
  const [answered] = ofType(events, 'tool-output-available');
  assert.equal(answered.toolCallId, called.toolCallId);
  assert.equal(answered.output.plan, 'Team');
  assert.match(textOf(events), /"plan":"Team"/);
  assert.ok(ofType(events, 'text-delta').length > 20, 'the text comes in pieces');
  const kinds = events.map((event) => event.type);
  assert.ok(kinds.indexOf('reasoning-start') < kinds.indexOf('text-start'));
  assert.deepEqual(ofType(events, 'text-start').map((event) => event.id), ofType(events, 'text-end').map((event) => event.id));
});

test('a resource tells its handler of each change', async () => {
  const seen = [];
  class LastAnswer extends Resource {
    name = 'LAST_ANSWER';
    onUpdate(value) {
      seen.push(value);
    }
  }
  const session = octavus.agentSessions.attach(await supportChat(), { resources: [new LastAnswer()] });

  const events = await all(session.execute(says('What plan am I on?')));

  assert.equal(seen.length, 1);
  assert.ok(textOf(events).endsWith(seen[0]));
});

test('what a session remembers is read back for screens and whole', async () => {
  const id = await orderDesk('plain');
  const session = octavus.agentSessions.attach(id);
  await all(session.execute(says('Hello')));
  await all(session.execute(says('And again')));

  const shown = await octavus.agentSessions.getMessages(id);
  const state = await octavus.agentSessions.get(id);

  assert.equal(shown.sessionId, id);
  assert.deepEqual(shown.messages.map(({ role }) => role), ['user', 'assistant', 'user', 'assistant']);
  assert.deepEqual(shown.messages.map(shownText), ['Hello', 'I heard: Hello', 'And again', 'I heard: And again']);
  assert.ok(shown.messages.every((message) => message.createdAt instanceof Date && message.status === 'done'));
  assert.equal(state.id, id);
  assert.deepEqual(state.input, { MODEL: 'scripted/plain' });
  assert.deepEqual(state.messages.map(({ content }) => content), shown.messages.map(shownText));
});

test('a whole session with reasoning, tools and resources passes the schemas of the SDK', async () => {
  const id = await supportChat();
  const session = octavus.agentSessions.attach(id);
  await all(session.execute(says('What plan am I on?')));
  await all(session.execute(says('Please open a ticket')));

  const shown = await octavus.agentSessions.getMessages(id);
  const state = await octavus.agentSessions.get(id);

  const kinds = shown.messages.flatMap((message) => message.parts.map((part) => part.type));
  assert.ok(['text', 'reasoning', 'tool-call'].every((kind) => kinds.includes(kind)), kinds.join());
  assert.ok(state.messages.length >= shown.messages.length);
  assert.equal(typeof state.resources.LAST_ANSWER, 'string');
});

test('a session of agents that run others, lists and cancelled calls passes the schemas of the SDK', async () => {
  const id = await newsroom();
  const tools = { 'ask-editor': () => Promise.resolve('yes') };
  const abandoned = await all(octavus.agentSessions.attach(id).execute(says('Write about water')));
  const events = await all(octavus.agentSessions.attach(id, { tools }).execute(says('Write about fire')));
  const headline = { type: 'trigger', triggerName: 'headline', input: { STORY: 'Fire is hot' } };
  const shown = await all(octavus.agentSessions.attach(id).execute(headline));

  const { messages } = await octavus.agentSessions.getMessages(id);
  const state = await octavus.agentSessions.get(id);

  assert.equal(abandoned.at(-1).finishReason, 'client-tool-calls');
  assert.match(textOf(events), /The editor says yes/);
  assert.match(textOf(shown), /NEWS: Fire is hot/);
  const checks = ofType(events, 'tool-output-available').map((event) => event.output);
  assert.deepEqual(checks, ['True: water is wet', 'yes']);
  const parts = messages.flatMap((message) => message.parts).filter((part) => part.type !== 'text');
  assert.deepEqual(parts.map((part) => [part.type, part.toolName ?? part.name, part.status]), [
    ['tool-call', 'fact-checker', 'done'],
    ['tool-call', 'ask-editor', 'error'],
    ['tool-call', 'fact-checker', 'done'],
    ['tool-call', 'ask-editor', 'done'],
    ['operation', 'Writing a headline', 'done'],
  ]);
  const calls = state.messages.flatMap((message) => message.toolCalls ?? []);
  assert.equal(calls.filter((call) => call.name === 'fact-checker').length, 2);
});

test('toSSEStream passes every event on to a browser', async () => {
  const session = octavus.agentSessions.attach(await orderDesk('plain'));

  const text = await new Response(toSSEStream(session.execute(says('Hello')))).text();

  const lines = text.split('\n').filter((line) => line !== '');
  assert.equal(lines.at(-1), 'data: [DONE]');
  const events = lines.slice(0, -1).map((line) => safeParseStreamEvent(JSON.parse(line.slice('data: '.length))));
  assert.ok(events.every((event) => event.success));
  assert.equal(textOf(events.map((event) => event.data)), 'I heard: Hello');
});

test('every event that comes over the wire is one that the SDK reads', async () => {
  const id = await supportChat();
  const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${apiKey}` };
  const body = JSON.stringify({ triggerName: 'user-message', input: { USER_MESSAGE: 'What plan am I on?' } });

  const response = await fetch(`${baseUrl}/api/agent-sessions/${id}/trigger`, { method: 'POST', headers, body });

  assert.equal(response.headers.get('content-type').split(';')[0], 'text/event-stream');
  const sent = (await response.text()).split('\n').filter((line) => line.startsWith('data: {'));
  for (const line of sent) {
    const event = JSON.parse(line.slice('data: '.length));
    assert.ok(safeParseStreamEvent(event).success, line);
    assert.ok(!Object.values(event).includes(null) || event.type === 'tool-output-available', line);
  }
});

test('an abort keeps what was said, and the next turn works', async () => {
  const id = await orderDesk('slow');
  const session = octavus.agentSessions.attach(id);
  const stop = new AbortController();
  const heard = [];

  for await (const event of session.execute(says('Count'), { signal: stop.signal })) {
    heard.push(event);
    if (ofType(heard, 'text-delta').length === 3) stop.abort();
  }
  const next = await all(session.execute(says('Are you there?')));

  assert.deepEqual(heard.at(-1), { type: 'finish', finishReason: 'stop' });
  assert.equal(textOf(next), 'Here again: Are you there?');
  const { messages } = await octavus.agentSessions.getMessages(id);
  assert.deepEqual(messages.map(({ role }) => role), ['user', 'assistant', 'user', 'assistant']);
  const kept = shownText(messages[1]);
  assert.ok(kept.startsWith(textOf(heard)), kept);
  assert.ok(!kept.includes('twelve'), kept);
});

test('what is wrong is told with a status, a code and a sentence', async () => {
  const stranger = new OctavusClient({ baseUrl, apiKey: 'not-a-key' });
  const unknown = '0a0193a5c1d27b4f8e3a6b0c9d1e2f3a4b';

  await assert.rejects(octavus.agents.get('nobody'), { name: 'ApiError', status: 404, code: 'NOT_FOUND', message: /nobody/ });
  await assert.rejects(octavus.agentSessions.create('order-desk'), { status: 400, code: 'VALIDATION_ERROR', message: /MODEL is missing/ });
  await assert.rejects(octavus.agentSessions.get(unknown), { status: 404, code: 'NOT_FOUND' });
  await assert.rejects(octavus.agentSessions.getMessages(unknown), { status: 404, code: 'NOT_FOUND' });
  await assert.rejects(stranger.agents.list(), { status: 401 });
});

test('a trigger that is refused is one error event', async () => {
  const session = octavus.agentSessions.attach(await orderDesk('plain'));

  const wrong = await all(session.execute({ type: 'trigger', triggerName: 'no-such-trigger' }));
  const unknown = await all(octavus.agentSessions.attach('0a0193a5c1d27b4f8e3a6b0c9d1e2f3a4b').execute(says('Hello')));

  assert.deepEqual(wrong.map((event) => [event.type, event.errorType]), [['error', 'validation_error']]);
  assert.match(wrong[0].message, /no-such-trigger/);
  assert.deepEqual(unknown.map((event) => [event.type, event.errorType]), [['error', 'not_found_error']]);
});
