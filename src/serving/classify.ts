import { z } from 'zod';
import { answersOf } from '../tasks/answers.ts';
import { RequestError } from './request-error.ts';
import { common, type Route, route, type Served } from './route.ts';
import { checkLengths, checkTexts, mostTexts, predictionQueue } from './texts.ts';

/** Tokens of a text that is read in windows: all of them go through the model at once. */
const mostInWindows = 8192;

const one = z.string({ error: 'expected a single text; a list of texts goes into "texts"' });
const pair = z.tuple([one, one], { error: 'expected a list of the two texts of a pair' });
/** What a model reads, and an example, by the number of its texts in fine-tuning. */
const shapes = {
  1: { text: one, example: 'A text of yours.' },
  2: { text: pair, example: ['A text of yours.', 'Another text.'] as [string, string] },
};
/** An export does not tell the number. */
const either = {
  text: z.union([one, pair], { error: 'expected a text, or a list of the two texts of a pair' }),
  example: 'A text of yours.',
};

/** The labels, the values or the tags of texts, of a model that was fine-tuned for them. It truncates long texts as `predict` does. */
export function classifyRoute(served: Served): Route | undefined {
  const { head, config, input } = served.checkpoint;
  if (!head || head.kind === 'embedding') return undefined;
  const { maxPositions } = config.model;
  const kind = answersOf(head, input?.windows);
  const queue = predictionQueue(served, kind);
  const length = Math.min(input?.maxLength ?? maxPositions, maxPositions);
  const numTexts = kind.mostWindows > 1 ? 1 : input?.texts?.length;
  const { text, example } = shapes[numTexts as keyof typeof shapes] ?? either;
  const body = z.strictObject({
    ...common,
    text: text.optional(),
    texts: z.array(text).max(mostTexts).optional(),
  });
  return route(body, { text: example }, async ({ text, texts }, signal) => {
    if ((text === undefined) === (texts === undefined)) {
      throw new RequestError(400, 'give text, or texts for a list of them', { param: 'text' });
    }
    const param = text === undefined ? 'texts' : 'text';
    const asked = (texts ?? [text!]).map((one) => [one].flat());
    checkTexts(
      asked.map((parts) => parts.join(' ')),
      param,
    );
    const encoded = await kind.encode(asked, served.tokenizer, length);
    const most = Math.max(maxPositions, mostInWindows);
    checkLengths(encoded, { most, bordersOf: (place) => 1 + asked[place]!.length, param });
    return { predictions: await queue.ask(encoded, signal) };
  });
}
