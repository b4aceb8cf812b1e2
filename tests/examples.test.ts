// Every command's help ends with examples, and each of them runs unchanged, on small models and data.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { commandsIn, sentences, start, writeTiny } from './cli.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-examples-'));
const at = (path: string) => join(folder, path);
const { done, quick } = commandsIn(folder);
after(() => rmSync(folder, { recursive: true, force: true }));

/** Settings that train for a second. */
const short = [
  'data.sequenceLength=12',
  ...['steps=4', 'batchSize=4', 'microBatchSize=4'].map((set) => `train.${set}`),
];
const tiny = [
  ...['layers=2', 'hiddenSize=32', 'heads=2', 'ffnSize=64', 'vocabSize=200'].map((set) => `model.${set}`),
  ...short,
];
const sizes = ['--hidden', '32', '--heads', '2', '--batch', '2', '--seq', '16', '--vocab', '100', '--dtype', 'fp32'];

/** What is added to the examples of a command, so that they are quick. */
const smaller: Readonly<Record<string, readonly string[]>> = {
  '': ['--set', ...tiny],
  pretrain: ['--set', ...tiny],
  launch: ['--set', ...tiny],
  tune: ['--set', ...tiny],
  data: ['--set', ...tiny],
  finetune: ['--epochs', '1'],
  glue: ['--epochs', '1', '--learning-rates', '1e-3'],
  'bench step': ['--layers', '2', ...sizes, '--steps', '1', '--warmup', '0'],
  'bench ops': sizes,
};

/** Examples that need the network, build the addon again, or start more processes than a test should. */
const notRun = /^(setup|push)\b| hf:|--processes 4/;
/** Examples that run until they are stopped, and what they say once they are ready. */
const servers: Readonly<Record<string, RegExp>> = { serve: /answers/, dashboard: /http:/ };

/** The words of a command line, quoted ones whole. */
const wordsOf = (command: string) =>
  [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word!);

interface Help {
  /** The words of the command: `data prepare`. */
  name: string;
  examples: string[];
}

/** The help of a command and of its subcommands. */
async function helpOf(name = ''): Promise<Help[]> {
  const { stdout } = await quick(...wordsOf(name), '--help');
  const [, listed = ''] = stdout.split('\nCommands:\n');
  const names = [...listed.split('\n\n')[0]!.matchAll(/^ {2}([a-z]\S*) /gm)]
    .map(([, word]) => word!)
    .filter((word) => word !== 'help');
  const children = await Promise.all(names.map((child) => helpOf(`${name} ${child}`.trim())));
  const [, shown = ''] = stdout.split(/\nExamples?:\n/);
  const examples = [...shown.matchAll(/^ {2}npx taper-lm (.*)$/gm)].map(([, words]) => words!);
  return [...(names.length > 0 && name !== '' ? [] : [{ name, examples }]), ...children.flat()];
}

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), text);
  }
}

/** Starts a server, and ends it once it is ready. */
async function serve(words: readonly string[], ready: RegExp): Promise<void> {
  const { child, ended } = start([...words, '--port', '0'], { cwd: folder });
  let said = '';
  for (const stream of [child.stdout!, child.stderr!])
    stream.on('data', (bytes) => {
      said += bytes;
      if (ready.test(said)) child.kill('SIGTERM');
    });
  await ended;
  assert.match(said, ready, words.join(' '));
}

describe('examples', { timeout: 600_000 }, () => {
  before(async () => {
    writeTiny(folder);
    const rows = sentences(60, 3).trim().split('. ');
    const labelOf = (text: string) => Number(/^The (cat|dog|bird)/.test(text));
    const lines = (line: (text: string, i: number) => string) => rows.map((text, i) => `${line(text, i)}\n`).join('');
    const tagged = lines((text) =>
      text
        .split(' ')
        .map((word) => `${word} ${word === 'cat' ? 'B-PET' : 'O'}\n`)
        .join(''),
    );
    const mails = `subject,body,folder\n${lines((text) => `A mail,${text},${labelOf(text) ? 'pets' : 'work'}`)}`;
    const cola = lines((text) => `src\t${labelOf(text)}\t\t${text}`);
    const sst = `sentence\tlabel\n${lines((text) => `${text}\t${labelOf(text)}`)}`;
    write({
      'my/texts/a.txt': sentences(400, 1),
      'my/other-texts/b.txt': sentences(100, 2),
      'mails.csv': mails,
      'new-mails.csv': mails,
      'posts.conll': tagged,
      'posts-dev.conll': tagged,
      'pairs.tsv': `question\tanswer\n${lines((text, i) => `${text}\t${rows[(i + 1) % rows.length]}`)}`,
      'texts.jsonl': lines((text) => JSON.stringify({ text })),
      'glue/CoLA/train.tsv': cola,
      'glue/CoLA/dev.tsv': cola,
      'glue/SST-2/train.tsv': sst,
      'glue/SST-2/dev.tsv': sst,
    });
    const models = fileURLToPath(new URL('../../tests/fixtures/hugging-face', import.meta.url));
    cpSync(join(models, 'bert'), at('downloads/bert-base-uncased'), { recursive: true });
    await done('import', 'downloads/bert-base-uncased', '--out', 'models/imported');
    await done('pretrain', 'tiny.yaml', '--out', 'runs/bert-mini');
    await done(
      'pretrain',
      'tiny.yaml',
      '--out',
      'runs/gpt',
      '--set',
      'model.kind=gpt2',
      'model.vocabSize=300',
      'data.objective=clm',
    );
    await done('pretrain', 'tiny.yaml', '--out', 'runs/dense', '--set', 'depth.method=dense');
    cpSync(at('runs/bert-mini'), at('runs/pld'), { recursive: true });
    const topics = ['--train', 'mails.csv', '--text', 'body', '--label', 'folder', '--epochs', '1'];
    await done('finetune', 'runs/bert-mini', ...topics, '--out', 'runs/topics');
  });

  test('each command has examples, and they run', async (context) => {
    const helps = await helpOf();
    assert.ok(helps.length > 20);
    for (const { name, examples } of helps) {
      assert.ok(examples.length > 0, `taper-lm ${name} --help shows no example`);
      for (const example of examples) await context.test(`taper-lm ${example}`, () => runExample(name, example));
    }
  });
});

/** Runs an example of a command's help. */
async function runExample(name: string, example: string): Promise<void> {
  assert.ok(example.startsWith(name), `taper-lm ${name} --help shows another command`);
  if (notRun.test(example)) return;
  // The stem has few steps.
  const words = wordsOf(example.replace('@20000 --steps 5000', '@4 --steps 2'));
  if (servers[name]) return serve(words, servers[name]);
  const continues = /--resume|--decay-from/.test(example);
  const outs = [words[words.indexOf('--out') + 1]!, 'runs/encoder'];
  if (!continues) for (const out of outs) if (/^runs/.test(out)) rmSync(at(out), { recursive: true, force: true });
  const usual = smaller[name] ?? smaller[name.split(' ')[0]!] ?? [];
  const added = continues ? [] : example.includes('--from') ? ['--set', ...short] : usual;
  const { code, stderr } = await quick(...words, ...added);
  assert.equal(code, 0, stderr);
}
