import { z } from 'zod';
import { answersOf } from '../tasks/answers.ts';
import { RequestError } from './request-error.ts';
import { common, type Route, route, type Served } from './route.ts';
import { checkLengths, checkTexts, mostTexts, predictionQueue } from './texts.ts';

/** Tokens of a text that is read in windows: all of them go through the model at once. */
const mostInWindows = 8192;

/** The labels, the values or the tags of texts, of a model that was fine-tuned for them. */
export function classifyRoute(served: Served): Route | undefined {
  const { head, config } = served.checkpoint;
  if (!head || head.kind === 'embedding') return undefined;
  const { maxPositions } = config.model;
  const kind = answersOf(head);
  const queue = predictionQueue(served, kind);
  const one = z.string();
  const text = kind.readsWindows
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
    const most = kind.readsWindows ? Math.max(maxPositions, mostInWindows) : maxPositions;
    const encoded = await kind.encode(asked, served.tokenizer, kind.readsWindows ? maxPositions : Infinity);
    checkLengths(encoded, { most, bordersOf: (place) => 1 + asked[place]!.length, param });
    return { predictions: await queue.ask(encoded, signal) };
  });
}
