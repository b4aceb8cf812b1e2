import { type Checkpoint, type ExampleInput, openCheckpoint } from '../checkpoints/index.ts';
import { CheckpointError, ConfigError, commandText, counted } from '../errors/index.ts';
import { loadTrained } from '../inference/index.ts';
import type { Device } from '../tensor/index.ts';
import { answersOf, type TextPrediction } from './answers.ts';
import { checkTunable } from './finetune.ts';
import { predict, predictorOf } from './learner.ts';
import { checkMaxLength } from './settings.ts';

/** How texts are predicted. */
export interface PredictOptions {
  /** Called for newer checkpoints that are broken. Default: `console.warn`. */
  warn?: (message: string) => void;
  /** Default: `cpu`. */
  device?: Device;
  /** The maximum number of tokens per text; longer texts are truncated. Default: as in fine-tuning. */
  maxLength?: number;
}

/** A model that predicts the labels, the value or the tags of texts. */
export interface TextPredictor extends Disposable {
  /** How it read its examples in fine-tuning; undefined for an export. */
  input: ExampleInput | undefined;
  /**
   * A prediction for each text, or for each pair of texts if the model was fine-tuned on pairs. Longer ones are truncated.
   *
   * @throws ConfigError for anything else.
   */
  predict(texts: readonly (string | readonly string[])[]): Promise<TextPrediction[]>;
}

/**
 * Opens a model that was fine-tuned for labels, values or tags: a checkpoint, or its folder. Disposing it frees its tensors.
 *
 * @throws CheckpointError if there is none, it is broken, or it was not fine-tuned for one of these.
 * @throws ConfigError for a missing device, or a `maxLength` that is not an integer ≥ 3.
 */
export function openPredictor(
  of: string | Checkpoint,
  { warn = console.warn, device = 'cpu', maxLength }: PredictOptions = {},
): TextPredictor {
  const checkpoint = typeof of === 'string' ? openCheckpoint(of, warn) : of;
  const { path, head, input, config } = checkpoint;
  checkTunable(checkpoint);
  const command = (name: string) => commandText(['npx', 'taper-lm', name, path]);
  if (!head) {
    throw new CheckpointError(
      `${path}: was only pre-trained; fine-tune it first: ${command('finetune')} --train FILE --text COLUMN --label COLUMN --out DIR`,
    );
  }
  if (head.kind === 'embedding') {
    throw new CheckpointError(
      `${path}: was fine-tuned for embeddings; use ${command('embed')} --in FILE --out vectors.npy`,
    );
  }
  if (maxLength !== undefined) checkMaxLength(maxLength);
  const { maxPositions } = config.model;
  const longest = Math.min(maxLength ?? input?.maxLength ?? maxPositions, maxPositions);
  const kind = answersOf(head, input?.windows);
  const trained = loadTrained(checkpoint, { device });
  const predictor = predictorOf(trained, kind);
  return {
    input,
    async predict(texts) {
      const asked = examplesOf(texts, input);
      return predict(predictor, await kind.encode(asked, trained.tokenizer, longest));
    },
    [Symbol.dispose]: trained[Symbol.dispose],
  };
}

/** The texts of each example: as many as in fine-tuning; for an export, which does not tell, one or two. */
function examplesOf(texts: readonly (string | readonly string[])[], input: ExampleInput | undefined): string[][] {
  if (!Array.isArray(texts)) throw new ConfigError("predict: expected a list of texts, as in predict(['A text.'])");
  const sizes = input?.texts ? [input.texts.length] : [1, 2];
  return texts.map((one, i) => {
    const parts = [one].flat();
    const isRight = sizes.includes(parts.length) && parts.every((part) => typeof part === 'string');
    if (isRight) return parts;
    const expected = sizes.map((size) => (size === 1 ? 'a text' : `a list of ${counted(size, 'text')}`)).join(' or ');
    throw new ConfigError(`predict: expected ${expected}; number ${i + 1} is ${JSON.stringify(one)}`);
  });
}
