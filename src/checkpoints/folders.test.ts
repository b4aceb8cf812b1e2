import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { kindOf, whyNoCheckpoint } from './folders.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-folders-'));
after(() => rmSync(folder, { recursive: true }));

/** Writes files, empty unless they have content; a name that ends in / is a folder. */
function make(files: Record<string, string>): void {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(name.endsWith('/') ? path : dirname(path), { recursive: true });
    if (!name.endsWith('/')) writeFileSync(path, content);
  }
}

test('the contents of a folder are recognised by its files', () => {
  make({
    'text.txt': '',
    'hidden/.DS_Store': '',
    'killed/lock': '123\n',
    'new/': '',
    'notes/todo.md': '',
    'run/config.json': '{"model":{},"depth":{},"data":{},"train":{}}',
    'old-run/checkpoints/': '',
    'metrics-alone/metrics.jsonl': '',
    'model/trainer.json': '{}',
    'half/optimizer.safetensors': '',
    'half/config.json': '{"model_type":"bert"}',
    'hf/config.json': '{"model_type":"bert"}',
    'hf-old/config.json': '{"architectures":["BertModel"]}',
    'hf-of-trainer/config.json': '{"model_type":"bert"}',
    'hf-of-trainer/checkpoints/': '',
    'broken/config.json': '{',
    'list/config.json': '[1]',
  });
  const kinds = {
    nowhere: 'nothing',
    'text.txt': 'file',
    'text.txt/below': 'nothing',
    hidden: 'empty',
    killed: 'empty',
    new: 'empty',
    notes: 'other',
    run: 'run',
    'old-run': 'run',
    'metrics-alone': 'run',
    model: 'checkpoint',
    half: 'checkpoint',
    hf: 'huggingFace',
    'hf-old': 'huggingFace',
    'hf-of-trainer': 'huggingFace',
    broken: 'other',
    list: 'other',
  };
  for (const [name, kind] of Object.entries(kinds)) assert.equal(kindOf(join(folder, name)), kind, name);
});

test('the error for a folder without a checkpoint names what to give instead', () => {
  const why = (name: string) => whyNoCheckpoint(join(folder, name)).replaceAll(`${folder}/`, '');
  make({ 'hf/config.json': '{"model_type":"bert"}', 'plain.txt': '', 'notes/todo.md': '' });
  for (let i = 1; i <= 10; i++) make({ [`runs/r${i}/metrics.jsonl`]: '', 'runs/other/x': '' });
  for (let i = 1; i <= 10; i++) utimesSync(join(folder, `runs/r${i}`), i, i);
  make({ 'mine/checkpoints/step-2/trainer.json': '{}' });
  assert.equal(why('plain.txt'), 'plain.txt: is a file; give the folder of a checkpoint, or of a run');
  assert.match(why('hf'), /^hf: is a Hugging Face folder; .*: npx taper-lm import hf --out models\/hf$/);
  assert.match(why('runs'), /^runs: is not a run .*: runs\/r10, runs\/r9, .*, runs\/r3 and 2 more$/);
  assert.match(why('mine/checkpoints'), /give one of them: mine\/checkpoints\/step-2$/);
  assert.match(why('notes'), /^notes: trainer\.json is missing/);
});

test('the error for a missing model names a similar one, or those beside it', () => {
  make({ 'models/mails/trainer.json': '{}', 'models/books/trainer.json': '{}' });
  const why = (name: string) => whyNoCheckpoint(join(folder, 'models', name));
  assert.match(why('mail'), /no such folder; did you mean \S+models\/mails\?$/);
  assert.match(why('poems'), /no such folder; there are \S+models\/\w+, \S+models\/\w+/);
});

test('an ONNX export is named as one', () => {
  make({ 'exported/config.json': '{"model_type":"bert"}', 'exported/onnx/model.onnx': '' });
  assert.match(whyNoCheckpoint(join(folder, 'exported')), /is an export for ONNX runtimes; give the model/);
});
