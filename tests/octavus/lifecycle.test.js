// A session that expires and is restored, and one that is asked twice at once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { all, apiKey, baseUrl, octavus, ofType, orderDesk, says, shownText, textOf } from './stenograph.js';

/** What a later SDK does to end a session; 2.0.0 has no call for it. */
async function clear(id) {
  const headers = { Authorization: `Bearer ${apiKey}`, 'Content-Type': 'application/json' };
  const response = await fetch(`${baseUrl}/api/agent-sessions/${id}`, { method: 'DELETE', headers });
  return response.json();
}

test('a session that is active is not restored', async () => {
  const id = await orderDesk('plain');
  await all(octavus.agentSessions.attach(id).execute(says('Hello')));
  const { messages } = await octavus.agentSessions.getMessages(id);

  assert.deepEqual(await octavus.agentSessions.restore(id, messages), { sessionId: id, restored: false });
});

test('an expired session says so, and is restored from the messages that the application kept', async () => {
  const id = await orderDesk('plain');
  const session = octavus.agentSessions.attach(id);
  await all(session.execute(says('Hello')));
  const { messages, agentId } = await octavus.agentSessions.getMessages(id);
  assert.deepEqual(await clear(id), { sessionId: id, cleared: true });

  const shown = await octavus.agentSessions.getMessages(id);
  const state = await octavus.agentSessions.get(id);
  const refused = await all(session.execute(says('Are you there?')));
  const kept = JSON.parse(JSON.stringify(messages));
  const restored = await octavus.agentSessions.restore(id, kept, { MODEL: 'scripted/plain' });
  const again = await octavus.agentSessions.restore(id, kept);

  assert.deepEqual([shown.status, shown.agentId, shown.sessionId], ['expired', agentId, id]);
  assert.equal(state.status, 'expired');
  assert.deepEqual(refused.map((event) => [event.type, event.errorType]), [['error', 'not_found_error']]);
  assert.deepEqual([restored.restored, again.restored], [true, false]);
  assert.equal(textOf(await all(session.execute(says('And now?')))), 'I heard: And now?');
  const after = await octavus.agentSessions.getMessages(id);
  assert.deepEqual(after.messages.map(shownText), ['Hello', 'I heard: Hello', 'And now?', 'I heard: And now?']);
});

test('a second trigger meanwhile is told that the session is busy, and does not disturb the first', async () => {
  const id = await orderDesk('slow');
  const session = octavus.agentSessions.attach(id);
  const first = session.execute(says('Count'));
  await first.next(); // it runs

  const second = await all(octavus.agentSessions.attach(id).execute(says('Me too')));

  assert.deepEqual(second.map((event) => [event.type, event.errorType, event.retryable]), [['error', 'rate_limit_error', true]]);
  const heard = await all(first);
  assert.match(textOf(heard), /twelve$/);
  assert.equal(ofType(heard, 'finish').length, 1);
  assert.equal((await octavus.agentSessions.getMessages(id)).messages.length, 2);
});
