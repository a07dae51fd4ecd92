// The command line of the SDK, run as a person runs it: output, and exit codes 0 (fine), 1 (wrong), 2 (no key).

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { apiKey, baseUrl, octavus } from './stenograph.js';

const here = dirname(fileURLToPath(import.meta.url));
const program = createRequire(import.meta.url).resolve('@octavus/cli');

let folder; // a copy of the order desk, under a slug of its own
let slug;

before(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'octavus-')), 'agent');
  slug = `synced-${Date.now().toString(36)}`;
  await cp(join(here, 'agents', 'order-desk'), folder, { recursive: true });
  await edit('settings.json', (settings) => settings.replace('order-desk', slug));
});

after(() => rm(dirname(folder), { recursive: true }));

async function edit(file, change) {
  const path = join(folder, file);
  await writeFile(path, change(await readFile(path, 'utf8')));
}

async function run(args, key = apiKey) {
  const env = { PATH: process.env.PATH, OCTAVUS_API_URL: baseUrl, ...(key && { OCTAVUS_API_KEY: key }) };
  const child = spawn(process.execPath, [program, ...args], { cwd: dirname(folder), env });
  const ended = new Promise((resolve) => child.on('close', resolve));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, out, err };
}

test('validate says that a sound agent is valid, and stores nothing', async () => {
  const ran = await run(['validate', folder]);

  assert.equal(ran.code, 0, ran.err);
  assert.match(ran.out, /is valid/);
  assert.ok(!(await octavus.agents.list()).some((agent) => agent.slug === slug));
});

test('validate names every mistake of a broken agent', async () => {
  const ran = await run(['validate', join(here, 'mistakes')]);
  const told = JSON.parse((await run(['validate', '--json', join(here, 'mistakes')])).out);

  assert.equal(ran.code, 1);
  for (const cause of ['strnig', 'nobody-answers', 'gpt-5', 'sytem', 'find-oder', 'next-mesage']) {
    assert.match(ran.err, new RegExp(cause));
  }
  assert.match(ran.err, /protocol\.yaml:2 input\.COMPANY\.type/);
  assert.equal(told.valid, false);
  assert.equal(told.errors.length, 6);
});

test('without a key the command says so', async () => {
  assert.equal((await run(['validate', folder], null)).code, 2);
  assert.equal((await run(['sync', folder], null)).code, 2);
});

test('a wrong key is refused', async () => {
  const ran = await run(['list'], 'not-a-key');

  assert.equal(ran.code, 1);
  assert.match(ran.err, /Status: 401|API key/);
});

test('sync creates an agent once and updates it afterwards, under the same id', async () => {
  const first = JSON.parse((await run(['sync', '--json', folder])).out);
  await edit('prompts/system.md', (prompt) => `${prompt}Be brief.\n`);
  const second = await run(['sync', folder]);
  const third = JSON.parse((await run(['sync', '--json', folder])).out);

  assert.equal(first.created, true);
  assert.match(second.out, /Updated/);
  assert.ok(second.out.includes(first.agentId));
  assert.deepEqual(third, { slug, agentId: first.agentId, created: false });
  const stored = await octavus.agents.get(first.agentId);
  assert.match(stored.prompts.find((prompt) => prompt.name === 'system').content, /Be brief/);
});

test('sync of a broken agent changes nothing and names the mistakes', async () => {
  const ran = await run(['sync', join(here, 'mistakes')]);

  assert.equal(ran.code, 1);
  for (const cause of ['strnig', 'nobody-answers', 'sytem', 'find-oder', 'next-mesage']) {
    assert.match(ran.err, new RegExp(cause));
  }
  assert.equal((await run(['get', 'mistaken'])).code, 1);
});

test('list and get show what is stored', async () => {
  const listed = await run(['list']);
  const got = await run(['get', 'support-chat']);
  const whole = JSON.parse((await run(['get', '--json', 'order-desk'])).out);
  const nobody = await run(['get', 'nobody']);

  assert.equal(listed.code, 0);
  assert.match(listed.out, /support-chat/);
  assert.equal(got.code, 0);
  assert.match(got.out, /Prompts/);
  assert.equal(whole.settings.description, 'Its tools are served by the application that follows the session');
  assert.equal(nobody.code, 1);
  assert.match(nobody.err, /Agent not found: nobody/);
});
