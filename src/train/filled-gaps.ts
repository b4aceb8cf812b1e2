import { type Config, trainPaths } from '../config/index.ts';
import { listSources, readTexts } from '../data/index.ts';
import { UserError } from '../errors/index.ts';
import { asWritten, heldOutGaps, inSentence } from '../inference/index.ts';
import { type Gap, sentenceKey } from '../runs/gap.ts';
import type { Run } from './run.ts';

/** The gaps that each evaluation fills. */
const drawing = { count: 5, seed: 1 };

/** Gaps with their sentences as the held-out texts of a configuration have them; without such texts, as they are. */
export async function asInTexts(gaps: readonly Gap[], { data }: Pick<Config, 'data'>): Promise<readonly Gap[]> {
  const { exclude, textField, cache: cacheDir } = data;
  const paths = data.valid.length > 0 ? data.valid : trainPaths(data.train);
  if (paths.length === 0) return gaps;
  const files = await listSources(paths, { exclude, cacheDir, textField });
  return asWritten(gaps, readTexts(files, { textField }));
}

/** Held-out sentences with gaps that the model of a run fills, the same each time. */
export async function filledGaps(run: Run): Promise<Gap[]> {
  const { config, state, texts } = run;
  const trained = { model: state.model, tokenizer: texts.tokenizer, device: config.train.device };
  const gaps = heldOutGaps(trained, texts.valid.samples, drawing);
  if (!run.sentences) {
    const written = await writtenGaps(run, gaps);
    run.sentences = new Map(gaps.map((gap, i) => [sentenceKey(gap), written[i]!]));
  }
  const { sentences } = run;
  return gaps.map((gap) => inSentence(gap, sentences.get(sentenceKey(gap)) ?? gap));
}

/** Gaps as in the held-out texts; as they are if a program passed the documents, or if the texts cannot be read any more. */
async function writtenGaps({ config, progress, report }: Run, gaps: readonly Gap[]): Promise<readonly Gap[]> {
  if (gaps.length === 0 || progress.source !== undefined) return gaps;
  try {
    return await asInTexts(gaps, config);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    report.warn(`held-out sentences are shown as the model reads them: ${error.message}`);
    return gaps;
  }
}
