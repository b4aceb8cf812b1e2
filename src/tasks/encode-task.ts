import type { TextTokenizer } from '../data/index.ts';
import { counted, DataError } from '../errors/index.ts';
import type { ModelConfig } from '../model/index.ts';
import type { FineTuneSettings } from './settings.ts';
import type { BaselineScores, Encoded, ExampleSet, Kind, Task } from './task.ts';

/** A set of examples, as read and as the model gets them. */
export interface EncodedSet {
  name: string;
  read: readonly unknown[];
  examples: Encoded[];
}

/**
 * Encodes the examples of a task, those for training apart from such that teach nothing. `cut` says how many of them are cut, and how
 * to read more, if some are.
 *
 * @throws DataError if no training example is left.
 */
export async function encodeTask(
  task: Task,
  tokenizer: TextTokenizer,
  { maxPositions }: ModelConfig,
  settings: FineTuneSettings,
): Promise<{ train: Encoded[]; devs: EncodedSet[]; tests: EncodedSet[]; cut?: string }> {
  const { kind } = task;
  const maxLength = Math.min(settings.maxLength, maxPositions);
  const encode = async ({ name, examples }: ExampleSet): Promise<EncodedSet> => ({
    name,
    read: examples,
    examples: await kind.encode(examples, tokenizer, maxLength),
  });
  const { examples: all } = await encode(task.train);
  const train = all.filter((example) => kind.numOutputs(example) > 0); // a sentence of no tokens teaches nothing
  if (train.length === 0)
    throw new DataError(`${task.name}: has no training example to learn from; give examples whose texts are not empty`);
  const [devs, tests] = [await Promise.all(task.devs.map(encode)), await Promise.all(task.tests.map(encode))];
  const numCut = train.filter((example) => kind.isCut?.(example, maxLength)).length;
  if (numCut === 0) return { train, devs, tests };
  const more = [
    ...(maxLength < maxPositions ? [`--max-length (this model reads up to ${maxPositions})`] : []),
    ...(kind.takesWindows ? ['--windows 4 (not for pairs of texts)'] : []),
  ];
  const advice = more.length > 0 ? `; to read more, in more time, give ${more.join(', or ')}` : '';
  const cut = `cut at ${maxLength} tokens, the rest is not read: ${numCut} of ${counted(train.length, 'training example')}${advice}`;
  return { train, devs, tests, cut };
}

/** Whether what is to be predicted is known of all examples. */
export const hasTargets = (kind: Kind, examples: readonly Encoded[]) =>
  examples.every((example) => kind.hasTarget(example));

/** What predictions without a model score on the sets whose targets are known. */
export function baselineScores({ kind, train }: Task, sets: readonly EncodedSet[]): BaselineScores[] {
  const scored = sets.filter(({ examples }) => hasTargets(kind, examples));
  return (kind.baselines?.(train.examples) ?? []).map(({ name, predict }) => ({
    name,
    sets: scored.map(({ name: set, read, examples }) => ({ set, scores: kind.scores(read.map(predict), examples) })),
  }));
}
