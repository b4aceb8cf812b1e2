import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventFiles, readEvents, shownValues } from '../src/runs/tensorboard.fixture.ts';
import { commandsIn, linesOf, writeTiny } from './cli.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-tensorboard-'));
const { done } = commandsIn(folder);
const at = (path: string) => join(folder, path);
before(() => writeTiny(folder));
after(() => rmSync(folder, { recursive: true, force: true }));

/** What TensorBoard shows of a scalar is what the lines of one type say in metrics.jsonl, in single precision. */
function assertShown(run: string, tag: string, type: 'step' | 'eval', key: string): void {
  const lines = linesOf(at(run)).filter((line) => line.type === type);
  assert.ok(lines.length > 1);
  assert.deepEqual(
    shownValues(at(`${run}/events`), tag).map(({ step, value }) => [step, value.simpleValue]),
    lines.map((line) => [line.step, Math.fround(Number(line[key]))]),
    tag,
  );
}

test('TensorBoard shows of a run what its metrics say, and after a crash what they say then', async () => {
  await done('pretrain', 'tiny.yaml', '--out', 'run');
  const assertAllShown = () => {
    assertShown('run', 'train/loss', 'step', 'loss');
    assertShown('run', 'train/nspLoss', 'step', 'nspLoss');
    assertShown('run', 'depth/theta', 'step', 'theta');
    assertShown('run', 'valid/mlmAccuracy', 'eval', 'mlmAccuracy');
  };
  assertAllShown();
  const rates = shownValues(at('run/events'), 'depth/keepRates').map(({ value }) => value.histo);
  assert.deepEqual(
    rates.map((histogram) => [histogram!.max, histogram!.min]),
    linesOf(at('run')).flatMap(({ type, keepRates }) => (type === 'step' ? [keepRates] : [])),
    'two blocks: the keep rate of the lower one is the higher',
  );

  rmSync(at('run/checkpoints/step-4'), { recursive: true }); // as if it had ended before it was written
  await done('pretrain', 'tiny.yaml', '--out', 'run', '--resume');
  const [, ...others] = eventFiles(at('run/events'));
  assert.equal(others.length, 1);
  const start = readEvents(others[0]!).find(({ sessionLog }) => sessionLog);
  assert.deepEqual([start?.step, start?.sessionLog], [3, { status: 'START' }]);
  assertAllShown();
});

test('docs/metrics.md names each tag', () => {
  const [file] = eventFiles(at('run/events'));
  const written = readEvents(file!).flatMap(({ summary }) => summary?.value.map(({ tag }) => tag) ?? []);
  const page = readFileSync(fileURLToPath(new URL('../../docs/metrics.md', import.meta.url)), 'utf8');
  for (const tag of new Set(written)) assert.ok(page.slice(page.indexOf('## `events/`')).includes(`\`${tag}\``), tag);
});

test('the texts of a run are its configuration and held-out texts at each evaluation', async () => {
  await done('pretrain', 'tiny.yaml', '--out', 'texts');
  const textsOf = (tag: string) =>
    shownValues(at('texts/events'), tag).map(
      ({ step, value }) => [step, Buffer.from(value.tensor!.stringVal[0]!).toString()] as const,
    );
  const config = readFileSync(at('texts/config.json'), 'utf8');
  assert.deepEqual(textsOf('config'), [[0, `\`\`\`json\n${config}\`\`\``]]);
  const samples = textsOf('valid/examples');
  assert.deepEqual(
    samples.map(([step]) => step),
    [0, 2, 4],
  );
  for (const [, sample] of samples) assert.match(sample, /\*\S+\*/);
});

const hasPython = spawnSync('python3', ['--version']).status === 0;
/** What stands in for both libraries, and says what it hears. */
const library = `
import contextlib, json
tell = lambda *words: print(json.dumps(words))
class Run:
    log = staticmethod(lambda numbers, step: tell(step, numbers))
log_metrics = Run.log
log_params = lambda params: tell(params["depth.method"])
@contextlib.contextmanager
def start_run(run_name): tell(run_name); yield
@contextlib.contextmanager
def init(project, name, config): tell(name); tell(config["depth"]["method"]); yield Run
`;

test('the programs for W&B and MLflow in docs/metrics.md log the numbers of each line', { skip: !hasPython }, () => {
  const page = readFileSync(fileURLToPath(new URL('../../docs/metrics.md', import.meta.url)), 'utf8');
  const expected = linesOf(at('run')).map(({ type, ...line }) => {
    const numbers = Object.entries(line).filter(([, value]) => typeof value === 'number');
    return [line.step, Object.fromEntries(numbers.map(([key, value]) => [`${type}/${key}`, value]))];
  });
  for (const name of ['wandb', 'mlflow']) {
    writeFileSync(at(`${name}.py`), library);
    const program = page.split(`\`to_${name}.py\`:`)[1]!.split('```')[1]!.replace('python\n', '');
    const input = readFileSync(at('run/metrics.jsonl'));
    const { stdout, stderr } = spawnSync('python3', ['-c', program, 'run'], { cwd: folder, input, encoding: 'utf8' });
    const heard = stdout.split('\n').slice(0, -1);
    assert.deepEqual(
      heard.map((line) => JSON.parse(line)),
      [['run'], ['pld'], ...expected],
      stderr,
    );
  }
});
