// Exported models in a browser: each pipeline of transformers.js in Chromium, without any network, gives what it gives in Node.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { env, pipeline } from '@huggingface/transformers';
import type { Browser, Page } from 'playwright-core';
import { noBrowser, openBrowser, openPage, serveFiles } from './browser.fixture.ts';
import { commandsIn, sentences, writeTiny } from './cli.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-onnx-browser-'));
const at = (path: string) => join(folder, path);
const { done } = commandsIn(folder);
const packageFolder = (name: string) => dirname(fileURLToPath(import.meta.resolve(name)));

env.allowRemoteModels = false;
env.localModelPath = `${folder}/`;

const page = `<!doctype html>
<script type="module">
  import { env, pipeline } from './transformers.min.js';
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  env.localModelPath = './';
  env.backends.onnx.wasm.wasmPaths = './';
  window.ask = async (task, model, dtype, text, options) => {
    const run = await pipeline(task, model, { dtype });
    const found = await run(text, options);
    await run.dispose();
    return found.data ? [...found.data] : found;
  };
</script>`;

const text = 'The cat sees the queen in the garden.';
/** Task, model, text, options. */
const asked = [
  ['fill-mask', 'masked', 'The cat [MASK] the queen in the garden.', { top_k: 3 }],
  ['text-classification', 'labels', text, {}],
  ['token-classification', 'tags', text, { ignore_labels: [] }],
  ['feature-extraction', 'vectors', text, { pooling: 'mean', normalize: true }],
  ['text-generation', 'llama', 'The cat sees', { max_new_tokens: 12, do_sample: false }],
  ['text-generation', 'gpt2', 'The cat sees', { max_new_tokens: 12, do_sample: false }],
] as const;

after(() => rmSync(folder, { recursive: true, force: true }));

describe('in Chromium', { skip: noBrowser, timeout: 240_000 }, () => {
  let browser: Browser;
  let opened: Page;
  let server: Awaited<ReturnType<typeof serveFiles>>;
  const problems: string[] = [];

  before(async () => {
    writeTiny(folder);
    const rows = sentences(60, 3).split('. ').filter(Boolean);
    const label = (row: string) => (/cat|dog/.test(row) ? 'pet' : 'other');
    writeFileSync(at('labels.csv'), `text,label\n${rows.map((row) => `${row},${label(row)}\n`).join('')}`);
    const tagged = (row: string) => row.split(' ').map((word) => `${word} ${/cat|dog/.test(word) ? 'B-PET' : 'O'}`);
    writeFileSync(at('tags.conll'), rows.map((row) => `${tagged(row).join('\n')}\n\n`).join(''));
    const small = ['--epochs', '1', '--batch-size', '16', '--learning-rate', '3e-3', '--threads', '1'];
    const tuned = (data: string, flags: string[], out: string) =>
      done('finetune', 'encoder', ...flags, '--train', data, '--dev', data, ...small, '--out', out);
    const sets = ['data.objective=mlm', 'model.kind=modernbert'];
    await done('pretrain', 'tiny.yaml', '--out', 'encoder', '--set', ...sets);
    await tuned('labels.csv', ['--text', 'text'], 'labels-run');
    await tuned('tags.conll', ['--tags'], 'tags-run');
    await done('export', 'encoder', '--to', 'onnx', '--out', 'masked');
    await done('export', 'encoder', '--to', 'onnx', '--encoder-only', '--out', 'vectors');
    for (const name of ['labels', 'tags']) await done('export', `${name}-run`, '--to', 'onnx', '--out', name);
    for (const kind of ['llama', 'gpt2']) {
      const decoder = ['data.objective=clm', `model.kind=${kind}`, 'model.vocabSize=300'];
      await done('pretrain', 'tiny.yaml', '--out', `${kind}-run`, '--set', ...decoder);
      await done('export', `${kind}-run`, '--to', 'onnx', '--out', kind);
    }
    writeFileSync(at('index.html'), page);
    cpSync(join(packageFolder('@huggingface/transformers'), 'transformers.min.js'), at('transformers.min.js'));
    // The one that transformers.js is built on: its web assembly is beside it.
    const ort = packageFolder('onnxruntime-web');
    for (const end of ['mjs', 'wasm'])
      cpSync(join(ort, `ort-wasm-simd-threaded.asyncify.${end}`), at(`ort-wasm-simd-threaded.asyncify.${end}`));
    server = await serveFiles(folder);
    browser = await openBrowser();
    opened = await openPage(browser, server.url, problems);
  });
  after(async () => {
    await browser?.close();
    server?.close();
  });

  for (const [task, model, given, options] of asked) {
    for (const dtype of ['fp32', 'q8'] as const) {
      test(`${task} of ${model} in ${dtype}`, async () => {
        const run = await pipeline(task, model, { dtype });
        const inNode = (await (run as (text: string, options: object) => Promise<unknown>)(given, options)) as {
          data?: Float32Array;
        };
        const expected = inNode.data ? [...inNode.data] : inNode;
        const found = await opened.evaluate(
          ([task, model, dtype, given, options]) =>
            (globalThis as unknown as { ask(...given: unknown[]): Promise<unknown> }).ask(
              task,
              model,
              dtype,
              given,
              options,
            ),
          [task, model, dtype, given, options] as const,
        );
        const numbers: [number, number][] = [];
        const rounded = (value: unknown, other: unknown): unknown => {
          if (typeof value === 'number') return numbers.push([value, other as number]) && 0;
          if (typeof value !== 'object' || value === null) return value;
          const entries = Object.entries(value).map(([key, each]) => [
            key,
            rounded(each, (other as Record<string, unknown>)?.[key]),
          ]);
          return Object.fromEntries(entries);
        };
        assert.deepEqual(rounded(found, expected), rounded(expected, expected));
        for (const [a, b] of numbers) assert.ok(Math.abs(a - b) < 1e-4, `${a}, in Node ${b}`);
        await run.dispose();
      });
    }
  }

  test('nothing was asked of another server, and nothing failed', () => {
    // transformers.js looks for a WebGPU adapter and for generation_config.json, and does without them.
    assert.deepEqual(
      problems.filter((problem) => !/adapters|404/.test(problem)),
      [],
    );
  });
});
