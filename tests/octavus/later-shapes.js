// What a client of version 4.0 and later reads, written from its public contract: strict, so that nothing is there
// that the contract does not name, and nothing optional is null.

import { z } from 'zod';

const text = z.string();
const count = z.number().int().nonnegative();
const fee = z.number().nonnegative();
const any = z.custom((value) => value !== undefined, 'the key is required, whatever it holds');
const object = z.record(text, z.unknown());
const optional = (fields) => Object.fromEntries(Object.entries(fields).map(([name, kind]) => [name, kind.optional()]));
const texts = (...names) => Object.fromEntries(names.map((name) => [name, text]));

const displays = z.enum(['hidden', 'name', 'description', 'stream', 'title']);
const todos = z.array(
  z.strictObject({ ...texts('id', 'content'), status: z.enum(['pending', 'in_progress', 'completed', 'cancelled']) }),
);
const errorTypes = z.enum([
  'authentication_error', 'permission_error', 'validation_error', 'not_found_error', 'rate_limit_error',
  'quota_exceeded_error', 'provider_error', 'provider_overloaded', 'provider_timeout', 'execution_error', 'tool_error',
  'protocol_error', 'internal_error', 'unknown_error', 'unsupported_error',
]);
const provider = z.strictObject({
  name: text, ...optional({ model: text, statusCode: count, errorType: text, requestId: text }),
});
const toolCall = z.strictObject({
  ...texts('toolCallId', 'toolName'), args: object,
  ...optional({ source: z.enum(['llm', 'block']), outputVariable: text, blockIndex: count, thread: text, workerId: text }),
});

// ---- events

const event = (type, fields = {}) => z.strictObject({ type: z.literal(type), ...fields });
/** An event of a turn, which may be of the run of another agent inside it. */
const inside = (type, fields = {}) => event(type, { ...fields, workerId: text.optional() });

export const streamEvent = z.discriminatedUnion('type', [
  event('start', optional(texts('messageId', 'executionId', 'lastMessageId', 'sessionId'))),
  event('finish', {
    finishReason: z.enum(['stop', 'tool-calls', 'client-tool-calls', 'length', 'content-filter', 'error', 'other']),
    executionId: text.optional(),
  }),
  inside('error', {
    errorType: errorTypes, message: text, retryable: z.boolean(),
    source: z.enum(['platform', 'provider', 'tool', 'client']),
    ...optional({
      retryAfter: count, code: text, provider, tool: z.strictObject({ name: text, callId: text.optional() }),
    }),
  }),
  inside('text-start', { id: text, responseType: text.optional() }),
  inside('text-delta', texts('id', 'delta')),
  inside('text-end', texts('id')),
  inside('reasoning-start', texts('id')),
  inside('reasoning-delta', texts('id', 'delta')),
  inside('reasoning-end', texts('id')),
  inside('tool-input-start', { ...texts('toolCallId', 'toolName'), title: text.optional(), display: displays.optional() }),
  inside('tool-input-delta', texts('toolCallId', 'inputTextDelta')),
  inside('tool-input-end', texts('toolCallId')),
  inside('tool-input-available', { ...texts('toolCallId', 'toolName'), input: any }),
  inside('tool-output-available', { toolCallId: text, output: any }),
  inside('tool-output-error', texts('toolCallId', 'error')),
  inside('block-start', {
    ...texts('blockId', 'blockName', 'blockType'), display: displays,
    ...optional({ description: text, outputToChat: z.boolean(), thread: text }),
  }),
  inside('block-end', { blockId: text, summary: text.optional() }),
  inside('resource-update', { name: text, value: any }),
  inside('tool-request', { toolCalls: z.array(toolCall).nonempty() }),
  inside('file-available', { ...texts('id', 'mediaType', 'url'), ...optional({ filename: text, size: count, toolCallId: text }) }),
  event('worker-start', { ...texts('workerId', 'workerSlug'), ...optional({ description: text, input: any }) }),
  event('worker-input-start', { ...texts('workerId', 'workerSlug'), description: text.optional() }),
  event('worker-input-delta', texts('workerId', 'delta')),
  event('worker-input-ready', { workerId: text, input: any }),
  event('worker-result', { workerId: text, ...optional({ output: any, error: text }) }),
  inside('todo-update', { todos }),
  event('usage', {
    cost: z.strictObject({
      currency: text, bandwidthFee: fee, providerFee: fee, totalFee: fee, byok: z.boolean(),
      estimatedProviderFee: fee.optional(),
    }),
    tokens: z.strictObject({ inputTokens: count, outputTokens: count, totalTokens: count }),
  }),
]);

// ---- messages of a screen

const streaming = z.enum(['streaming', 'done']);
const ended = ['done', 'error', 'cancelled'];
const thread = text.optional();
const part = (type, fields = {}) => z.strictObject({ type: z.literal(type), ...fields });
const file = { ...texts('id', 'mediaType', 'url'), ...optional({ filename: text, size: count, toolCallId: text }) };

const parts = [
  part('text', { text, status: streaming, thread }),
  part('reasoning', { text, status: streaming, thread }),
  part('tool-call', {
    ...texts('toolCallId', 'toolName'), args: object, status: z.enum(['pending', 'running', ...ended]), thread,
    ...optional({ displayName: text, result: any, error: text, display: displays }),
  }),
  part('operation', {
    ...texts('operationId', 'name', 'operationType'), status: z.enum(['running', 'done', 'cancelled']), thread,
  }),
  part('file', { ...file, thread }),
  part('object', {
    ...texts('id', 'typeName'), status: z.enum(['streaming', 'done', 'error']), thread,
    ...optional({ partial: any, object: any, error: text }),
  }),
  part('todo', { todos, status: streaming, thread }),
  part('step-start'),
];
const worker = {
  ...texts('workerId', 'workerSlug'), parts: z.array(z.discriminatedUnion('type', parts)),
  status: z.enum(['running', ...ended]), ...optional({ description: text, input: any, output: any, error: text }),
};
const sender = z.strictObject(optional(texts('id', 'name', 'image'))).optional();

export const screenMessage = z.strictObject({
  id: text, role: z.enum(['user', 'assistant']), status: streaming, createdAt: z.iso.datetime(), sender,
  parts: z.array(z.discriminatedUnion('type', [...parts, part('worker', { ...worker, thread })])),
});

// ---- messages of the full state

const said = (type, fields) => part(type, { visible: z.boolean(), thread, ...fields });
const call = z.strictObject({
  ...texts('id', 'name'), arguments: object, status: z.enum(['pending', 'streaming', 'available', 'error']),
  ...optional({ description: text, result: any, error: text }),
});

export const stateMessage = z.strictObject({
  id: text, role: z.enum(['user', 'assistant', 'system']), createdAt: z.iso.datetime(), content: text,
  visible: z.boolean().optional(), sender,
  parts: z.array(
    z.discriminatedUnion('type', [
      said('text', { content: text }),
      said('reasoning', { content: text }),
      said('tool-call', { toolCall: call }),
      said('file', { file: z.strictObject(file) }),
      said('object', { object: z.strictObject({ ...texts('id', 'typeName'), value: any }) }),
      said('worker', { worker: z.strictObject(worker) }),
      said('todo', { todo: z.strictObject({ todos, status: streaming }) }),
      said('operation', {
        operation: z.strictObject({
          ...texts('operationId', 'name', 'operationType'), status: z.enum(['running', 'done', 'cancelled']),
        }),
      }),
      said('step-start', {}),
    ]),
  ),
});
