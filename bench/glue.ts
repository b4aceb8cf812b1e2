import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '../src/checkpoints/index.ts';
import { lastConfig } from '../src/config/index.ts';
import { glueScores, glueLearningRate as learningRate, type ScoredTask } from './glue-scores.ts';
import { table, writeResults } from './report.ts';
import { untrainedLike } from './untrained.ts';

const runs = fileURLToPath(new URL('../../runs/glue', import.meta.url));
const seeds = [1, 2, 3];
/** Small sets are read more often; of some only the first examples are read. */
const tasks: readonly (ScoredTask & { examples?: number })[] = [
  { name: 'cola', title: 'CoLA', score: 'matthews', epochs: 10 },
  { name: 'sst2', title: 'SST-2', score: 'accuracy', epochs: 1 },
  { name: 'sst2', title: 'SST-2, its first 1,000 phrases', score: 'accuracy', epochs: 10, examples: 1000 },
];

/** A folder of GLUE with only the first examples of SST-2's training set. */
function firstOfSst2(data: string, examples: number): string {
  const folder = join(runs, `data-${examples}`);
  const [from, to] = [join(data, 'SST-2'), join(folder, 'SST-2')];
  mkdirSync(to, { recursive: true });
  const lines = readFileSync(join(from, 'train.tsv'), 'utf8').split('\n');
  writeFileSync(join(to, 'train.tsv'), `${lines.slice(0, examples + 1).join('\n')}\n`);
  copyFileSync(join(from, 'dev.tsv'), join(to, 'dev.tsv'));
  return folder;
}

/**
 * Fine-tunes a pre-trained model and the same model untrained on tasks of GLUE, and writes docs/results/glue.md. What was done
 * before is not done again.
 */
export function glue(checkpointPath: string, data: string): void {
  const checkpoint = openCheckpoint(checkpointPath, console.warn);
  const untrained = untrainedLike(checkpoint, runs);
  const rows = [['task', 'score', 'pre-trained', 'untrained']];
  for (const task of tasks) {
    const { title, score, examples } = task;
    const texts = examples === undefined ? data : firstOfSst2(data, examples);
    const [trained, fresh] = [checkpointPath, untrained].map((path, i) => {
      const out = join(runs, `${i === 0 ? 'pretrained' : 'fresh'}${examples ?? ''}`);
      const values = glueScores(path, task, { data: texts, learningRate, seeds, threads: 0, out });
      console.log(
        `${title}, ${i === 0 ? 'pre-trained' : 'untrained'}: ${values.map((value) => value.toFixed(4)).join(', ')}`,
      );
      return values;
    });
    const text = (values: readonly number[]) => values.map((value) => (100 * value).toFixed(1)).join(', ');
    rows.push([
      title,
      score === 'matthews' ? "Matthews' correlation × 100" : `${score}, %`,
      text(trained!),
      text(fresh!),
    ]);
  }
  const { model, data: texts, depth, train } = lastConfig(checkpoint.config);
  const before = train.from === undefined ? '' : `, starting from the weights of ${basename(train.from)}`;
  writeResults(
    'glue',
    'A pre-trained model and an untrained one',
    'npm run reproduce -- glue CHECKPOINT GLUE',
    `A ${model.norm === 'pre' ? 'PreLN' : 'PostLN'} BERT of ${model.layers} blocks of width ${model.hiddenSize}, pre-trained on ${(checkpoint.progress.tokens / 1e6).toFixed(1)} million tokens of books in
sequences of ${texts.sequenceLength} (\`${depth.method}\`${before}), and the same model with random weights. Both are fine-tuned in the same way with the seeds ${seeds.join(', ')}: learning rate
${learningRate}, batches of 32, ${tasks.map(({ title, epochs }) => `${epochs} epoch${epochs === 1 ? '' : 's'} of ${title}`).join(', ')}; the score of the best epoch on the development set.

${table(rows)}`,
  );
}
