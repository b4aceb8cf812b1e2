// docs/extending.md: its examples run unchanged.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const project = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(project, 'docs/extending.md'), 'utf8');
const blocks = [...page.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code]) => code!);
const programs = blocks.filter((code) => code.includes("from 'taper-lm'"));

const folder = mkdtempSync(join(tmpdir(), 'taper-extending-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function run(cwd: string, command: string, ...words: string[]) {
  const { status, stdout, stderr } = spawnSync(command, words, { cwd, encoding: 'utf8' });
  assert.equal(status, 0, `${words.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}

/** A folder in which examples find a small configuration, a text, and taper as a package. */
function userFolder(name: string): string {
  const place = join(folder, name);
  mkdirSync(join(place, 'my/texts'), { recursive: true });
  mkdirSync(join(place, 'configs'));
  mkdirSync(join(place, 'node_modules'));
  symlinkSync(project, join(place, 'node_modules/taper-lm'));
  writeFileSync(join(place, 'my/texts/garden.txt'), 'The cat sees the dog in the old garden. '.repeat(200));
  writeFileSync(
    join(place, 'configs/encoder.yaml'),
    'model: { layers: 2, hiddenSize: 32, heads: 2, vocabSize: 80, maxPositions: 16 }\ndata: { sequenceLength: 16 }\ntrain: { batchSize: 4, threads: 1, evalEvery: 0, saveEvery: 0 }\n',
  );
  return place;
}

describe('the programs of docs/extending.md', () => {
  const expected: Record<string, RegExp> = {
    rising: /^$/,
    letters: /^$/,
    watched: /^runs\/watched, from step 0 on: the highest loss was that of step \d\n$/,
    hour: /^$/,
  };
  assert.equal(programs.length, Object.keys(expected).length);
  for (const [i, [name, output]] of Object.entries(expected).entries()) {
    test(`runs/${name}`, () => {
      const place = userFolder(name);
      // As a reader would try it: for two steps.
      writeFileSync(join(place, 'program.mjs'), programs[i]!.replace('train.steps=2000', 'train.steps=2'));
      assert.match(run(place, process.execPath, 'program.mjs'), output);
      const config = JSON.parse(readFileSync(join(place, 'runs', name, 'config.json'), 'utf8'));
      assert.equal(config.depth.method, name === 'rising' ? 'own' : 'dense');
      readFileSync(join(place, `runs/${name}/checkpoints/step-2/model.safetensors`));
    });
  }
});

test('a depth method, an optimizer and a family are a file and a line each', () => {
  const copy = join(folder, 'copy');
  for (const name of [
    'src',
    'tsconfig.json',
    'tsconfig.run.json',
    'package.json',
    'package-lock.json',
    'configs',
    'bench',
  ])
    cpSync(join(project, name), join(copy, name), { recursive: true });
  for (const name of ['node_modules', 'build']) symlinkSync(join(project, name), join(copy, name));
  const files = blocks.flatMap((code) => {
    const [, path, table] = /^\/\/ (src\/\S+?\.ts)(?:: an import, and an entry of `(\w+)`)?\n/.exec(code) ?? [];
    return path === undefined ? [] : [{ path: join(copy, path), table, body: code.slice(code.indexOf('\n') + 1) }];
  });
  assert.equal(files.length, 6);
  for (const { path, table, body } of files) {
    if (table === undefined) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, body);
      continue;
    }
    const [line, entry] = body.trim().split('\n') as [string, string];
    const source = readFileSync(path, 'utf8');
    const begun = new RegExp(`(export const ${table} = \\{)`);
    assert.match(source, begun, path);
    writeFileSync(path, `${line}\n${source.replace(begun, `$1 ${entry}`)}`);
  }
  run(copy, join(project, 'node_modules/.bin/tsc'), '-p', 'tsconfig.run.json');

  const place = userFolder('named');
  const main = join(copy, 'dist/src/cli/main.js');
  const model = ['model.kind=scaled-gpt2', 'model.vocabSize=300', 'depth.method=alternating', 'depth.thetaBar=0.6'];
  const sets = ['--set', ...model, 'train.optimizer=adagrad', 'train.steps=3', 'train.saveEvery=2'];
  const data = ['configs/encoder.yaml', '--data', 'my/texts'];
  run(place, process.execPath, main, 'pretrain', ...data, '--out', 'whole', ...sets);
  const [first, ...others] = readFileSync(join(place, 'whole/metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ type }) => type === 'step');
  assert.deepEqual(first.keepRates, [1, 0.6]);
  assert.ok(others.every(({ loss }) => Number.isFinite(loss)));

  // The optimizer's slot is in the checkpoint, from which a run continues to the same numbers.
  rmSync(join(place, 'whole/checkpoints/step-3'), { recursive: true });
  run(place, process.execPath, main, 'pretrain', '--resume', '--out', 'whole');
  const last = readFileSync(join(place, 'whole/metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(last.findLast(({ type }) => type === 'step').loss, others.at(-1).loss);
});
