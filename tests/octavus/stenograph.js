// The Stenograph that the tests talk to, and what several of them need.
//
// STENOGRAPH_URL=http://127.0.0.1:8420 STENOGRAPH_API_KEY=… node --test

import { OctavusClient } from '@octavus/server-sdk';

export const baseUrl = process.env.STENOGRAPH_URL;
export const apiKey = process.env.STENOGRAPH_API_KEY;
export const octavus = new OctavusClient({ baseUrl: `${baseUrl}/`, apiKey });

/** The id of a session of the order desk whose model plays `script`. */
export function orderDesk(script) {
  return octavus.agentSessions.create('order-desk', { MODEL: `scripted/${script}` });
}

/** The id of a session whose agent runs others and keeps a list. */
export function newsroom() {
  return octavus.agentSessions.create('newsroom', { MODEL: 'scripted/story' });
}

/** The id of a session of the demo agent, whose tools a NATS worker serves. */
export function supportChat() {
  return octavus.agentSessions.create('support-chat', { COMPANY_NAME: 'Acme', USER_ID: 'user-123' });
}

/** The request that a screen sends when somebody wrote `text`. */
export function says(text) {
  return { type: 'trigger', triggerName: 'user-message', input: { USER_MESSAGE: text } };
}

/** All events of a stream. */
export async function all(events) {
  const found = [];
  for await (const event of events) found.push(event);
  return found;
}

/** What the model said in `events`. */
export function textOf(events) {
  return events.filter((event) => event.type === 'text-delta').map((event) => event.delta).join('');
}

/** The text of a stored message. */
export function shownText(message) {
  return message.parts.filter((part) => part.type === 'text').map((part) => part.text).join('');
}

export function ofType(events, type) {
  return events.filter((event) => event.type === type);
}
