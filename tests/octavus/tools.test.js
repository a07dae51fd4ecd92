// Tools that no worker serves: handlers of the server SDK, and tools of a screen.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { all, octavus, ofType, orderDesk, says, shownText, textOf } from './stenograph.js';

test('handlers run once for each call, side by side, with the arguments that the model gave', async () => {
  const id = await orderDesk('server-tools');
  const called = [];
  let running = 0;
  let most = 0;
  const handler = (answer) => async (args) => {
    called.push(args);
    most = Math.max(most, (running += 1));
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
    return answer;
  };
  const tools = { 'find-order': handler({ total: 30 }), 'count-stock': handler(12) };

  const events = await all(octavus.agentSessions.attach(id, { tools }).execute(says('What is in my order?')));

  assert.deepEqual(called, [{ orderId: 'o-7', withItems: true }, { article: 'lamp' }, { article: 'bulb' }]);
  assert.equal(most, 2);
  assert.equal(textOf(events), 'The last count: 12');
  assert.equal(ofType(events, 'finish').length, 1);
  assert.equal(events.at(-1).finishReason, 'stop');
  assert.equal(ofType(events, 'tool-output-available').length, 3, 'the SDK tells of each result, and nobody else does');
  assert.equal(new Set(ofType(events, 'start').map((event) => event.executionId)).size, 1);
  const { messages } = await octavus.agentSessions.getMessages(id);
  const parts = messages.flatMap((message) => message.parts).filter((part) => part.type === 'tool-call');
  assert.deepEqual(parts.map((part) => [part.toolName, part.status, part.result]), [
    ['find-order', 'done', { total: 30 }],
    ['count-stock', 'done', 12],
    ['count-stock', 'done', 12],
  ]);
});

test('what a handler throws is what the model is told', async () => {
  const tools = {
    'find-order': () => Promise.resolve(undefined),
    'count-stock': () => Promise.reject(new Error('the shelves are closed')),
  };
  const id = await orderDesk('server-tools');

  const events = await all(octavus.agentSessions.attach(id, { tools }).execute(says('What is in my order?')));

  assert.equal(events.at(-1).finishReason, 'stop');
  assert.equal(ofType(events, 'tool-output-error').length, 2);
  assert.match(textOf(events), /the shelves are closed/);
});

test('a block calls a handler, and its result is in a variable', async () => {
  const id = await orderDesk('plain');
  const tools = { 'find-order': (args) => Promise.resolve({ id: args.orderId, total: 30 }) };

  const request = { type: 'trigger', triggerName: 'look-up', input: { ORDER_ID: 'o-9' } };
  const events = await all(octavus.agentSessions.attach(id, { tools }).execute(request));

  assert.match(textOf(events), /I heard: The order: \{"id":"o-9","total":30\}/);
  const state = await octavus.agentSessions.get(id);
  assert.deepEqual(state.variables.ORDER, { id: 'o-9', total: 30 });
});

test('a tool of the screen is answered from another process, with what the server answered', async () => {
  const id = await orderDesk('mixed-tools');
  const tools = { 'find-order': () => Promise.resolve({ total: 30 }) };

  const first = await all(octavus.agentSessions.attach(id, { tools }).execute(says('One lamp, please')));

  const [asked] = ofType(first, 'client-tool-request');
  assert.deepEqual(asked.toolCalls.map((call) => [call.toolName, call.args]), [['pick-colour', { colours: ['red', 'green'] }]]);
  assert.equal(asked.serverToolResults.length, 1);
  assert.deepEqual([first.at(-1).type, first.at(-1).finishReason], ['finish', 'client-tool-calls']);
  assert.equal(first.at(-1).executionId, asked.executionId);

  const picked = { toolCallId: asked.toolCalls[0].toolCallId, toolName: 'pick-colour', result: 'green' };
  const request = { type: 'continue', executionId: asked.executionId, toolResults: [...asked.serverToolResults, picked] };
  const second = await all(octavus.agentSessions.attach(id, { tools }).execute(request));

  assert.equal(second[0].executionId, asked.executionId);
  assert.equal(textOf(second), 'You picked green');
  assert.equal(second.at(-1).finishReason, 'stop');
  const { messages } = await octavus.agentSessions.getMessages(id);
  const answers = messages.flatMap((message) => message.parts).filter((part) => part.type === 'tool-call');
  assert.deepEqual(answers.map((part) => [part.status, part.result]), [['done', { total: 30 }], ['done', 'green']]);
  assert.match(shownText(messages.at(-1)), /You picked green/);
});

test('a pause that nobody answers does not hold up the next turn', async () => {
  const id = await orderDesk('mixed-tools');
  const tools = { 'find-order': () => Promise.resolve({ total: 30 }), 'pick-colour': () => Promise.resolve('red') };
  const abandoned = await all(octavus.agentSessions.attach(id).execute(says('One lamp, please')));
  assert.equal(abandoned.at(-1).finishReason, 'client-tool-calls');

  const events = await all(octavus.agentSessions.attach(id, { tools }).execute(says('Two lamps, please')));

  assert.equal(events.at(-1).finishReason, 'stop');
  assert.equal(textOf(events), 'You picked red');
  assert.equal((await octavus.agentSessions.get(id)).status, 'active');
  const { messages } = await octavus.agentSessions.getMessages(id);
  assert.ok(messages.every((message) => message.status === 'done'));
});

test('a model that calls without end is stopped at maxSteps, and the session lives on', async () => {
  const id = await orderDesk('endless-tools');
  let calls = 0;
  const session = octavus.agentSessions.attach(id, { tools: { 'count-stock': () => Promise.resolve((calls += 1)) } });

  const events = await all(session.execute(says('Count')));
  const again = await all(session.execute(says('Count')));

  assert.equal(events.at(-1).type, 'finish');
  assert.ok(calls <= 12, `${calls} calls in two turns of 6 steps`);
  assert.equal(again.at(-1).type, 'finish');
});

test('a result of 1.5 MB goes through', async () => {
  const id = await orderDesk('server-tools');
  const large = 'x'.repeat(1_500_000);
  const tools = { 'find-order': () => Promise.resolve(large), 'count-stock': () => Promise.resolve(3) };

  const events = await all(octavus.agentSessions.attach(id, { tools }).execute(says('What is in my order?')));

  assert.equal(events.at(-1).finishReason, 'stop');
  const { messages } = await octavus.agentSessions.getMessages(id);
  const part = messages.flatMap((message) => message.parts).find((one) => one.toolName === 'find-order');
  assert.equal(part.result.length, large.length);
});
