// A client of the later wire, written from its public contract, because npm has no SDK later than 2.0.0.
//
// const later = new LaterClient(baseUrl, apiKey, { 'ask-editor': async ({ question }) => 'yes' });
// for await (const event of later.trigger(session, 'user-message', { USER_MESSAGE: 'Hello' })) …
//
// It takes nothing that the contract does not name: an event or a message that is not strictly of its shape throws.

import { screenMessage, stateMessage, streamEvent } from './later-shapes.js';

export class LaterClient {
  constructor(baseUrl, apiKey, tools = {}) {
    this.baseUrl = baseUrl;
    this.headers = {
      Authorization: `Bearer ${apiKey}`, 'Content-Type': 'application/json', 'X-Octavus-Sdk-Version': '4',
    };
    this.tools = tools;
  }

  /** The events of a turn, over all its legs: what the tools of this client answer is sent until the turn is over. */
  trigger(session, triggerName, input, more = {}) {
    return this.#legs(`/api/agent-sessions/${session}/trigger`, { triggerName, input, ...more });
  }

  /** A session that is made for its first turn, once for each key. Its id is in `start`, and then in `sessionId`. */
  async *start(agentId, trigger, input, idempotencyKey) {
    const next = () => `/api/agent-sessions/${this.sessionId}/trigger`;
    yield* this.#legs('/api/agent-sessions/start', { agentId, input, trigger, idempotencyKey }, next);
  }

  /** A run of an agent of format worker; the last `worker-result` is what it came to. */
  execute(agentId, input) {
    const body = { type: 'start', input };
    return this.#legs(`/api/agents/${agentId}/execute`, body, undefined, { type: 'continue' });
  }

  async messages(session) {
    const { messages } = await this.#json(`/api/agent-sessions/${session}?format=ui`);
    return messages.map((message) => screenMessage.parse(message));
  }

  async state(session) {
    const state = await this.#json(`/api/agent-sessions/${session}`);
    return { ...state, messages: state.messages.map((message) => stateMessage.parse(message)) };
  }

  async restore(session, messages) {
    return this.#json(`/api/agent-sessions/${session}/restore`, { method: 'POST', body: JSON.stringify({ messages }) });
  }

  async clear(session) {
    return this.#json(`/api/agent-sessions/${session}`, { method: 'DELETE' });
  }

  async *#legs(path, body, next = () => path, beside = body) {
    for (let leg = 0; body; leg += 1) {
      let execution;
      let asked;
      for await (const event of this.#leg(leg ? next() : path, body)) {
        if (event.type === 'start') execution = event.executionId;
        if (event.type === 'tool-request') asked = event.toolCalls;
        else if (!(asked && event.finishReason === 'tool-calls')) yield event;
      }
      const answers = asked && (await Promise.all(asked.map((call) => this.#answer(call))));
      body = answers && { ...beside, executionId: execution, toolResults: answers };
    }
  }

  async #answer({ toolCallId, toolName, args, outputVariable, blockIndex, thread, workerId }) {
    const call = { toolCallId, toolName, outputVariable, blockIndex, thread, workerId };
    try {
      return { ...call, result: await this.tools[toolName](args) };
    } catch (error) {
      return { ...call, error: error.message };
    }
  }

  async *#leg(path, body) {
    const response = await this.#posted(path, { method: 'POST', body: JSON.stringify(body) });
    this.sessionId = response.headers.get('X-Octavus-Session-Id') ?? this.sessionId;
    let over = false;
    for await (const line of lines(response.body)) {
      if (!line.startsWith('data: ') || line === 'data: [DONE]') continue;
      const event = streamEvent.parse(JSON.parse(line.slice(6)));
      if (over && event.type !== 'usage') throw new Error(`${event.type} came after the end`);
      over ||= event.type === 'finish' || event.type === 'error';
      yield event;
    }
    if (!over) throw new Error('the stream ended without finish and without error');
  }

  /** The response to a request for a stream: it is sent again, twice at most, where the service says to wait. */
  async #posted(path, options) {
    for (let retries = 2; ; retries -= 1) {
      try {
        return await this.#fetch(path, options);
      } catch (error) {
        if (!retries || ![408, 429, 502, 503, 504].includes(error.status)) throw error;
        await new Promise((resolve) => setTimeout(resolve, Math.min(error.retryAfter ?? 1, 8) * 1000));
      }
    }
  }

  async #json(path, options) {
    return (await this.#fetch(path, options)).json();
  }

  async #fetch(path, options = {}) {
    const response = await fetch(`${this.baseUrl}${path}`, { headers: this.headers, ...options });
    if (response.ok) return response;
    const { error, code } = await response.json();
    const retryAfter = Number(response.headers.get('Retry-After') ?? NaN);
    throw Object.assign(new Error(error), { status: response.status, code, retryAfter: retryAfter || undefined });
  }
}

async function* lines(body) {
  let rest = '';
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    const pieces = (rest + chunk).split('\n');
    rest = pieces.pop();
    yield* pieces;
  }
}
