import { closeSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../../src/config/index.ts';
import { importHuggingFace } from '../../src/interop/index.ts';
import { openTexts, openTokenizer } from '../../src/train/index.ts';
import { runCommand, runTrainer } from '../programs.ts';
import { keep, nextSteps, records } from './records.ts';
import { type Rung, recipeOf, rungs, seeds, setsOf } from './rungs.ts';
import { score } from './score.ts';

const runs = fileURLToPath(new URL('../../../runs/quality', import.meta.url));
const cache = join(runs, 'cache');

/** Where the books are: `train-*.jsonl.gz` and `valid.jsonl.gz`. */
const textsOf = (books: string) => ({ train: join(books, 'train-*.jsonl.gz'), valid: join(books, 'valid.jsonl.gz') });

/** Trains what the ladder lacks, or those of its rungs that are named, first all with one seed. A training that was stopped goes on; one that has a record is kept. */
export async function trainLadder(books: string, names: readonly string[], threads: number): Promise<void> {
  const wanted = rungs.filter(({ name }) => names.length === 0 || names.includes(name));
  for (const seed of seeds) {
    for (const rung of wanted) {
      for (let steps = nextSteps(records(), rung, seed); steps; steps = nextSteps(records(), rung, seed)) {
        const { tokenAccuracy, tokenLoss } = await trainOne(rung, { seed, steps, books, threads });
        keep({ rung: rung.name, recipe: recipeOf(rung), seed, steps, accuracy: tokenAccuracy, loss: tokenLoss });
        console.log(`${rung.name}, seed ${seed}: ${(100 * tokenAccuracy).toFixed(2)} % after ${steps} steps`);
      }
    }
  }
}

interface How {
  seed: number;
  steps: number;
  books: string;
  threads: number;
}

async function trainOne(rung: Rung, how: How) {
  const out = join(runs, `${rung.name}-${how.seed}-${how.steps}`);
  const checkpoint = rung.name === 'transformers' ? withTrainer(out, how) : withTaper(out, rung, how);
  const found = await score(checkpoint, { valid: textsOf(how.books).valid, cache });
  rmSync(out, { recursive: true });
  return found;
}

function withTaper(out: string, rung: Rung, { seed, steps, books, threads }: How): string {
  runCommand([
    'pretrain',
    'configs/quality.yaml',
    '--out',
    out,
    '--resume',
    '--set',
    ...setsOfRun(rung, { seed, steps, books, threads }),
  ]);
  return out;
}

/** What a training of a rung sets in configs/quality.yaml. */
export function setsOfRun(rung: Rung, { seed, steps, books, threads }: How): string[] {
  const { train, valid } = textsOf(books);
  return [
    ...setsOf(rung),
    ...[`train.seed=${seed}`, `train.steps=${steps}`, `train.threads=${threads}`],
    ...[`data.train=["${train}"]`, `data.valid=["${valid}"]`, `data.cache=${cache}`],
  ];
}

function withTrainer(out: string, { seed, steps, threads }: How): string {
  runTrainer([
    ...trainerFlags(threads),
    '--out',
    out,
    '--seed',
    `${seed}`,
    '--steps',
    `${steps}`,
    '--save-every',
    '250',
  ]);
  const checkpoint = join(out, 'imported');
  rmSync(checkpoint, { recursive: true, force: true });
  importHuggingFace(join(out, 'model'), checkpoint, () => {});
  return checkpoint;
}

const [sequences, tokenizerFile] = [join(runs, 'sequences.u16'), join(runs, 'tokenizer.json')];

/** What transformers' program is given. */
export function trainerFlags(threads: number): string[] {
  return ['--sequences', sequences, '--tokenizer', tokenizerFile, '--threads', `${threads}`, '--bf16'];
}

/** Writes the training text for transformers, cut and tokenised as taper's. */
export async function writeSequences(books: string): Promise<void> {
  mkdirSync(runs, { recursive: true });
  const sets = setsOfRun(rungs[1]!, { seed: 1, steps: 1, books, threads: 0 });
  const { config } = loadConfig({ file: 'configs/quality.yaml', sets });
  const report = { note: console.log, warn: console.warn };
  const tokenizer = await openTokenizer(config, report);
  const texts = await openTexts(config, tokenizer, report);
  const { samples } = texts.train(0);
  const file = openSync(`${sequences}.new`, 'w');
  for (let sample = 0; sample < samples.count; sample++)
    writeSync(file, Uint16Array.from(samples.read({ seed: 1, epoch: 0, sample }).ids));
  closeSync(file);
  texts.close();
  renameSync(`${sequences}.new`, sequences); // another ladder may be reading the old one
  writeFileSync(tokenizerFile, tokenizer.json);
}
