// The second wire: a client of our own writing reads what clients of 4.0 and later read, and refuses anything else.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { LaterClient } from './later-client.js';
import { all, apiKey, baseUrl, newsroom, octavus, ofType, shownText, textOf } from './stenograph.js';

const editor = { 'ask-editor': () => Promise.resolve('yes') };
const later = new LaterClient(baseUrl, apiKey, editor);
const story = { USER_MESSAGE: 'Write about water' };

test('a turn tells of its list, of the agent that it runs, and goes on with what the client answers', async () => {
  const id = await newsroom();

  const events = await all(later.trigger(id, 'user-message', story));

  const [begun, after] = ofType(events, 'todo-update');
  assert.deepEqual(begun.todos.map((todo) => todo.status), ['in_progress', 'pending']);
  assert.deepEqual(after.todos.map((todo) => todo.status), ['completed', 'pending']);
  const [start] = ofType(events, 'worker-start');
  assert.deepEqual([start.workerSlug, start.input], ['fact-checker', { CLAIM: 'water is wet' }]);
  const order = events.filter((event) => event.workerId === start.workerId).map((event) => event.type);
  assert.deepEqual(order.slice(0, 4), ['worker-input-start', 'worker-input-delta', 'worker-input-ready', 'worker-start']);
  assert.equal(order.at(-1), 'worker-result');
  const [result] = ofType(events, 'worker-result');
  assert.match(result.output, /True: water is wet/);
  assert.equal(new Set(ofType(events, 'start').map((event) => event.executionId)).size, 1);
  assert.match(textOf(events), /The editor says yes/);
  assert.equal(events.at(-1).finishReason, 'stop');
});

test('what was said is read back with its steps, its list and its workers', async () => {
  const id = await newsroom();
  await all(later.trigger(id, 'user-message', story));

  const [question, answer] = await later.messages(id);
  const state = await later.state(id);

  assert.equal(shownText(question), 'Write about water');
  const kinds = answer.parts.map((part) => part.type);
  assert.deepEqual(kinds, ['step-start', 'text', 'todo', 'worker', 'step-start', 'tool-call', 'step-start', 'text']);
  assert.deepEqual(answer.parts[2].todos.map((todo) => todo.status), ['completed', 'pending']);
  assert.equal(answer.parts[3].status, 'done');
  assert.deepEqual(answer.parts[3].input, { CLAIM: 'water is wet' });
  const answered = state.messages.filter((message) => message.role === 'assistant');
  assert.deepEqual(answered.map((message) => message.id), [answer.id], 'one turn is one message');
  assert.equal(answered[0].parts.filter((part) => part.type === 'step-start').length, 3);
});

test('a block that runs another agent is a worker, too, and does not show what it was asked', async () => {
  const id = await newsroom();

  const events = await all(later.trigger(id, 'headline', { STORY: 'Water is wet' }));

  const [start] = ofType(events, 'worker-start');
  assert.deepEqual([start.workerSlug, start.description, 'input' in start], ['headline-writer', 'Writing a headline', false]);
  assert.match(ofType(events, 'worker-result')[0].output, /NEWS: Water is wet/);
  const [answer] = await later.messages(id);
  assert.deepEqual(answer.parts.map((part) => part.type), ['worker', 'step-start', 'text']);
});

test('a session that is started once for a key is the same when it is started again', async () => {
  const { agentId } = await later.state(await newsroom());
  const key = randomUUID();
  const trigger = { triggerName: 'user-message', input: story };

  const first = await all(later.start(agentId, trigger, { MODEL: 'scripted/story' }, key));
  const second = await all(later.start(agentId, trigger, { MODEL: 'scripted/story' }, key));

  assert.equal(first[0].sessionId, later.sessionId);
  assert.deepEqual(second[0], first[0]);
  assert.match(textOf(first), /The editor says yes/);
  assert.equal((await later.messages(later.sessionId)).length, 2);
});

test('a turn is taken back to the message that its start named', async () => {
  const id = await newsroom();
  await all(later.trigger(id, 'user-message', story));
  const [, kept] = await later.messages(id);

  const [start] = await all(later.trigger(id, 'user-message', { USER_MESSAGE: 'And about fire' }));
  const more = { rollbackAfterMessageId: start.lastMessageId };
  const again = await all(later.trigger(id, 'user-message', { USER_MESSAGE: 'And about air' }, more));

  assert.equal(start.lastMessageId, kept.id);
  assert.equal(again[0].lastMessageId, kept.id);
  const said = (await later.messages(id)).filter((message) => message.role === 'user').map(shownText);
  assert.deepEqual(said, ['Write about water', 'And about air']);
});

test('a session that was cleared is restored from the messages that the client kept, whatever their parts', async () => {
  const id = await newsroom();
  await all(later.trigger(id, 'user-message', story));
  const kept = await later.messages(id);
  await later.clear(id);

  const restored = await later.restore(id, kept);

  assert.equal(restored.restored, true);
  assert.deepEqual((await later.messages(id)).map(shownText), kept.map(shownText));
});

test('a call that nobody answered is cancelled when the next turn begins', async () => {
  const id = await newsroom();
  for await (const event of new LaterClient(baseUrl, apiKey).trigger(id, 'user-message', story)) {
    if (event.type === 'tool-input-available') break;
  }

  await all(later.trigger(id, 'user-message', { USER_MESSAGE: 'Another one' }));

  const parts = (await later.messages(id)).flatMap((message) => message.parts);
  const statuses = parts.filter((part) => part.type === 'tool-call').map((part) => part.status);
  assert.deepEqual(statuses, ['cancelled', 'done']);
});

test('an agent of format worker runs alone, and its usage comes after its finish', async () => {
  const surveyor = (await octavus.agents.list()).find((agent) => agent.slug === 'surveyor');
  const client = new LaterClient(baseUrl, apiKey, { 'ask-person': ({ question }) => Promise.resolve(`${question}: fine`) });

  const events = await all(client.execute(surveyor.id, { TOPIC: 'weather' }));

  const [result] = ofType(events, 'worker-result');
  assert.match(result.output, /They said: .*weather: fine/);
  assert.deepEqual(events.slice(-2).map((event) => event.type), ['finish', 'usage']);
  assert.ok(events.at(-1).tokens.totalTokens > 0);
  assert.deepEqual(ofType(events, 'worker-start').map((event) => event.input), [{ TOPIC: 'weather' }]);
});

test('a client that sends no number of a wire is told what to send', async () => {
  const client = new LaterClient(baseUrl, apiKey);
  client.headers['X-Octavus-Sdk-Version'] = 'newest';

  await assert.rejects(client.state(await newsroom()), /X-Octavus-Sdk-Version is a number, such as 4/);
});
