import type { Config } from '../config/index.ts';
import { heldOutBatches, objectives } from '../data/index.ts';
import { UserError } from '../errors/index.ts';
import type { TrainedModel } from '../inference/index.ts';
import { percent } from '../report/format.ts';
import { type Gap, isRight } from '../runs/gap.ts';
import type { Texts } from '../train/index.ts';
import { warn } from './terminal.ts';

/** How many sentences are shown, and the seed that draws and continues them. */
const [numGaps, numBeginnings, seed] = [5, 3, 1];
const sampling = { tokens: 40, temperature: 0.8, topK: 50, topP: 1, seed };

/** What a trained model does with the held-out text of its run. */
export interface Look {
  /** Sentences with gaps, or beginnings of sentences, and what the model makes of them. */
  shown: string;
  /** The words of a command of taper that tries the model on one of them. */
  command: string[];
  /** Tokens of the training text. */
  tokens: number;
  /** Whether the model had been trained before, on other text. */
  isContinued: boolean;
  /** The accuracy of always predicting the same token: the most frequent one among those that are predicted. */
  commonest: number;
}

/** Shows what the model of a run makes of held-out text; undefined, with a warning, if that cannot be done. */
export async function lookAt(run: string, device: string): Promise<Look | undefined> {
  const { openTrained } = await import('../inference/index.ts');
  const { openTexts } = await import('../train/index.ts');
  try {
    using trained = openTrained(run, { warn, device });
    const { config } = trained.checkpoint;
    const texts = await openTexts(config, trained.tokenizer, { warn: () => {}, note: () => {} });
    try {
      const show = objectives[config.data.objective].masks ? showGaps : showBeginnings;
      const { shown, example } = await show(trained, texts);
      return {
        shown,
        command: tryCommand(run, config, example),
        tokens: texts.tokens,
        isContinued: config.train.from !== undefined,
        commonest: commonestShare(texts, config),
      };
    } finally {
      texts.close();
    }
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    warn(`no examples from held-out text: ${error.message}`);
    return undefined;
  }
}

/** The words of the command that tries a model on a text. */
export function tryCommand(run: string, { data }: Pick<Config, 'data'>, text?: string): string[] {
  return objectives[data.objective].masks ? ['fill', run, text ?? 'The [MASK] sat.'] : ['generate', run, text ?? 'The'];
}

/** Sentences as they are shown, and one to try. */
interface Shown {
  shown: string;
  example: string | undefined;
}

async function showGaps(trained: TrainedModel, { valid }: Texts): Promise<Shown> {
  const { heldOutGaps } = await import('../inference/index.ts');
  const { asInTexts } = await import('../train/filled-gaps.ts');
  const drawn = heldOutGaps(trained, valid.samples, { count: numGaps, seed });
  const gaps = await asInTexts(drawn, trained.checkpoint.config);
  return { shown: gapsText(gaps), example: exampleOf(gaps) };
}

/** A sentence to try: one that the model fills correctly, if there is one, and that reads well. */
export function exampleOf(gaps: readonly Gap[]): string | undefined {
  const [hits, misses] = [true, false].map((wanted) =>
    gaps.filter((gap) => isRight(gap, gap.guesses[0]?.text) === wanted),
  );
  const sentences = [...hits!, ...misses!].map(({ before, after }) => `${before}[MASK]${after}`);
  return sentences.find(readsWell) ?? sentences[0];
}

/** Whether a sentence reads well, also in a shell: from its first word on, and without quotation marks. */
const readsWell = (text: string) => /^[\p{Lu}[][^"'“”‘’]*$/u.test(text);

/** Sentences with gaps, and how often the model was right. */
export function gapsText(gaps: readonly Gap[]): string {
  if (gaps.length === 0)
    return 'The held-out text has no sentences of 4 to 30 tokens to show what the model fills in.\n';
  const ranks = gaps.map((gap) => gap.guesses.findIndex(({ text }) => isRight(gap, text)));
  const lines = gaps.map(({ before, after, right, guesses }, i) => {
    const likeliest = guesses.map(({ text, probability }) => `${text} ${percent(probability)}`).join(', ');
    const mark = ranks[i] === 0 ? '✓  ' : ranks[i]! > 0 ? '(✓)' : '   ';
    return `  ${mark} ${before}____${after}\n      ${likeliest}; the removed word: ${right}\n`;
  });
  const among = (most: number) => ranks.filter((rank) => rank >= 0 && rank < most).length;
  return (
    'Words removed at random from held-out sentences, with the three likeliest words; the model also weighs parts of words and ' +
    `punctuation, which are left out here:\n\n${lines.join('\n')}\n` +
    `Right at the first guess ✓: ${among(1)} of ${gaps.length}; among the three, ✓ or (✓): ${among(3)} of ${gaps.length}\n`
  );
}

async function showBeginnings(trained: TrainedModel, { valid }: Texts): Promise<Shown> {
  const { generate, heldOutBeginnings } = await import('../inference/index.ts');
  const beginnings = heldOutBeginnings(valid.samples, { count: numBeginnings, seed });
  let shown = '';
  for (const beginning of beginnings) {
    let text = '';
    for await (const part of generate(trained, beginning, sampling)) text += part;
    shown += `\n  ${beginning} …\n      … ${text.replace(/\s+/g, ' ').trim()}\n`;
  }
  const heading = 'The first words of held-out sentences, drawn at random, and how the model continues them:\n';
  return { shown: shown && heading + shown, example: beginnings.find(readsWell) ?? beginnings[0] };
}

function commonestShare({ valid: { samples, mask } }: Texts, { train }: Config): number {
  const counts = new Map<number, number>();
  let total = 0;
  for (const { labels } of heldOutBatches(samples, { limit: train.evalSamples, size: 64, mask })) {
    for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
    total += labels.length;
  }
  return total === 0 ? 0 : Math.max(...counts.values()) / total;
}
