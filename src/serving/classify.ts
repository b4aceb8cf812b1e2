import { z } from 'zod';
import { answersOf } from '../tasks/answers.ts';
import { RequestError } from './request-error.ts';
import { common, type Route, route, type Served } from './route.ts';
import { checkLengths, checkTexts, checkWindows, mostTexts, predictionQueue } from './texts.ts';

/** Tokens of a text that is read in windows: all of them go through the model at once. */
const mostInWindows = 8192;

/** The labels, the values or the tags of texts, of a model that was fine-tuned for them. */
export function classifyRoute(served: Served): Route | undefined {
  const { head, config, input } = served.checkpoint;
  if (!head || head.kind === 'embedding') return undefined;
  const { maxPositions } = config.model;
  const { mostWindows: windows } = answersOf(head, input?.windows);
  const kind = answersOf(head, windows > 1 ? Infinity : 1); // all windows of a text, to refuse one that has too many
  const queue = predictionQueue(served, kind);
  const length = windows > 1 ? Math.min(input?.maxLength ?? maxPositions, maxPositions) : Infinity;
  const one = z.string();
  const text =
    windows > 1
      ? one
      : z.union([one, z.tuple([one, one])], { error: 'expected a text, or a list of the two texts of a pair' });
  const body = z.strictObject({
    ...common,
    text: text.optional(),
    texts: z.array(text).max(mostTexts).optional(),
  });
  return route(body, async ({ text, texts }, signal) => {
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
    checkWindows(encoded, windows, param);
    const most = windows > 1 ? Math.max(maxPositions, mostInWindows) : maxPositions;
    checkLengths(encoded, { most, bordersOf: (place) => 1 + asked[place]!.length, param });
    return { predictions: await queue.ask(encoded, signal) };
  });
}
