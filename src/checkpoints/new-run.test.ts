import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadConfig } from '../config/index.ts';
import { newRunCommand } from './new-run.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-new-run-'));
after(() => rmSync(folder, { recursive: true }));

const sets = [
  'model.preset=bert-mini',
  'depth.method=staged',
  'depth.stages=[3, 4]',
  'data.tokenizer=a.json',
  'data.train=[t]',
  'train.steps=100',
];

/** A run that was configured so. */
function runOf(name: string, given: readonly string[] = sets) {
  const run = join(folder, name);
  mkdirSync(run, { recursive: true });
  writeFileSync(join(run, 'config.json'), JSON.stringify(loadConfig({ sets: given }).config));
  return run;
}

/** The words of a command, as a shell makes them of its text. */
const wordsOf = (command: string) =>
  execFileSync('sh', ['-c', `printf '%s\\0' ${command}`], { encoding: 'utf8' })
    .split('\0')
    .slice(0, -1);

/** What the command configures, and what it begins with. */
function told(command: string) {
  const [, , , file, ...options] = wordsOf(command);
  const values: Record<string, string[]> = {};
  let key = '';
  for (const word of options) {
    if (word.startsWith('--')) key = word;
    values[key] ??= [];
    if (word !== key) values[key]!.push(word);
  }
  const { config } = loadConfig({ file: file!, sets: values['--set'] ?? [] });
  return { config, from: values['--from']?.[0], out: values['--out']?.[0] };
}

const changes = [
  'train.batchSize=64',
  'train.precision=fp32',
  'train.betas=[0.9, 0.95]',
  'train.biasCorrection=false',
  'train.peakLearningRate=1e-30',
  'train.schedule=cosine',
  'depth.method=pld',
  'depth.stages=null',
  'depth.gamma=50/T',
  'data.train=["my texts/*.txt", "it\'s.txt", "$HOME"]',
  'data.train=[]',
  'data.textField="true"',
  'data.textField="1"',
  'data.textField="null"',
  'data.textField="a # b"',
  'data.textField="é"',
  'data.objective=mlm',
  'model.dropout=0',
  'model.layers=5',
  'model.kind=gpt2',
  'data.tokenizer=b.json',
  'data.tokenizer=null',
];

test('the command reproduces any changed configuration exactly', () => {
  const run = runOf('run');
  for (const change of changes) {
    const more = change === 'model.kind=gpt2' ? ['depth.method=dense'] : [];
    const wanted = loadConfig({ sets: [...sets, change, ...more] }).config;
    const { config, from, out } = told(newRunCommand(run, wanted, run));
    const isOfWeights = !/layers|kind|tokenizer/.test(change);
    assert.deepEqual([from, out], [isOfWeights ? run : undefined, `${run}-2`], change);
    // A run that begins with a checkpoint has its tokenizer.
    if (isOfWeights) delete wanted.data.tokenizer;
    assert.deepEqual(config, wanted, change);
  }
});

test('a new model does not begin with what the run began with, and folders are named as a person would', () => {
  const run = runOf('a run', [...sets, 'train.from=models/x']);
  const { config } = loadConfig({ sets: [...sets, 'train.from=models/x', 'model.layers=5'] });
  const { config: wanted, out, from } = told(newRunCommand(`${run}/`, config, run));
  assert.deepEqual([wanted.train.from, from, out], [undefined, undefined, `${run}-2`]);
  mkdirSync(`${run}-2`);
  assert.equal(told(newRunCommand(run, config, run)).out, `${run}-3`);
});
