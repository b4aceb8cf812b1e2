import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Checkpoint, openCheckpoint } from '../src/checkpoints/index.ts';
import { familyOf } from '../src/model/index.ts';
import { spearman } from '../src/tasks/metrics.ts';
import { readTable } from '../src/tasks/tables.ts';
import { runCommand } from './programs.ts';
import { Records, recipeFrom } from './records.ts';
import { medianText, table, writeResults } from './report.ts';
import { untrainedLike } from './untrained.ts';

const runs = fileURLToPath(new URL('../../runs/heads', import.meta.url));
const records = new Records('heads');
const seeds = [1, 2, 3];

/** What is fine-tuned for, with files in the folder of the data. */
interface HeadTask {
  name: string;
  title: string;
  score: string;
  files: { train: string; dev: string; test: string };
  words: readonly string[];
  learningRate: string;
  epochs: string;
}

const texts = ['sentence_A', 'sentence_B'] as const;
const relatedness = 'relatedness_score';
const tasks: readonly HeadTask[] = [
  {
    name: 'sick',
    title: 'SICK: how related two sentences are',
    score: 'spearman',
    files: {
      train: 'pairs/sick/SICK_train.txt',
      dev: 'pairs/sick/SICK_trial.txt',
      test: 'pairs/sick/SICK_test_annotated.txt',
    },
    words: ['--pairs', '--text', ...texts, '--score', relatedness],
    learningRate: '1e-3',
    epochs: '6',
  },
  {
    name: 'wnut',
    title: 'WNUT-17: entities in posts',
    score: 'f1',
    files: { train: 'ner/wnut17/train.conll', dev: 'ner/wnut17/dev.conll', test: 'ner/wnut17/test.conll' },
    words: ['--tags'],
    learningRate: '1e-3',
    epochs: '6',
  },
];

/** A model that is fine-tuned: the pre-trained one, or one like it. */
interface Start {
  kind: string;
  path: string;
  pretrained: Checkpoint;
}

/** The score on the test set, of a fine-tuning that is not repeated where it was done before. */
function scoreOf(task: HeadTask, { kind, path, pretrained }: Start, data: string, seed: number): number {
  const name = `${task.name}-${kind}-${seed}`;
  const how = [...task.words, '--epochs', task.epochs, '--learning-rate', task.learningRate];
  const recipe = recipeFrom([pretrained.weightsHash, how]);
  const kept = records.get<{ score: number }>(name, recipe);
  if (kept) return kept.score;
  const files = Object.entries(task.files).flatMap(([set, file]) => [`--${set}`, join(data, file)]);
  const found = runCommand(['finetune', path, ...how, ...files, '--seeds', `${seed}`, '--json']);
  const { seeds: tuned } = JSON.parse(found) as { seeds: { tests: { scores: Record<string, number> }[] }[] };
  const score = tuned[0]!.tests[0]!.scores[task.score]!;
  records.keep(name, recipe, { score });
  console.log(`${name}: ${score.toFixed(4)}`);
  return score;
}

const wordsOf = (text: string) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];

/** Spearman's correlation of the scores of pairs and the cosines of their counts of words, each times `log(N / n)` of n in N texts. */
async function tfIdf(data: string, { files }: HeadTask): Promise<number> {
  const read = async (file: string) => (await readTable(join(data, file))).rows;
  const counts = new Map<string, number>();
  const known = new Set((await read(files.train)).flatMap((row) => texts.map((column) => `${row[column]}`)));
  for (const text of known) for (const word of new Set(wordsOf(text))) counts.set(word, (counts.get(word) ?? 0) + 1);
  const vectorOf = (text: string) => {
    const vector = new Map<string, number>();
    for (const word of wordsOf(text))
      vector.set(word, (vector.get(word) ?? 0) + Math.log(known.size / (counts.get(word) ?? 1)));
    return vector;
  };
  const dot = (a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>) =>
    [...a].reduce((sum, [word, x]) => sum + x * (b.get(word) ?? 0), 0);
  const test = await read(files.test);
  const cosines = test.map((row) => {
    const [a, b] = texts.map((column) => vectorOf(`${row[column]}`));
    return dot(a!, b!) / Math.sqrt(dot(a!, a!) * dot(b!, b!)) || 0;
  });
  return spearman(
    cosines,
    test.map((row) => Number(row[relatedness])),
  );
}

/**
 * Fine-tunes a pre-trained encoder and the same one untrained for embeddings and for tags, and writes docs/results/heads.md. What was
 * done before is not done again.
 */
export async function heads(checkpointPath: string, data: string): Promise<void> {
  const checkpoint = openCheckpoint(checkpointPath, console.warn);
  const models = { 'pre-trained': checkpointPath, untrained: untrainedLike(checkpoint, runs) };
  const rows = tasks.map((task) => [
    task.title,
    task.score === 'f1' ? 'F1 of entities, %' : "Spearman's correlation × 100",
    ...Object.entries(models).map(([kind, path]) =>
      medianText(
        seeds.map((seed) => 100 * scoreOf(task, { kind, path, pretrained: checkpoint }, data, seed)),
        1,
      ),
    ),
  ]);
  const counted = (100 * (await tfIdf(data, tasks[0]!))).toFixed(1);
  const { model } = checkpoint.config;
  writeResults(
    'heads',
    'Embeddings and entities, with and without pre-training',
    'npm run reproduce -- heads CHECKPOINT DATA',
    `A ${familyOf(model).title(model)} of ${model.layers} blocks of width ${model.hiddenSize}, pre-trained on ${(checkpoint.progress.tokens / 1e6).toFixed(1)} million tokens of books in ${checkpoint.progress.step} steps, and the same
model with random weights, both fine-tuned in the same way: ${tasks.map(({ title, learningRate, epochs }) => `${title.split(':')[0]} for ${epochs} epochs at a learning rate of ${learningRate}`).join(', ')}, in batches of 32. The epoch is chosen by the
development set; the score is that of the test set: the median of the seeds ${seeds.join(', ')}, with minimum and maximum.

${table([['task', 'score', 'pre-trained', 'untrained'], ...rows])}

Without a model: the cosines of word counts, weighted by their rarity in the training set (TF-IDF), have a correlation of ${counted} on SICK's test set.`,
  );
}
