import { predict, predictorOf } from '../tasks/learner.ts';
import type { Encoded, Predicting } from '../tasks/task.ts';
import { Queue, type QueueLimits } from './queue.ts';
import { RequestError } from './request-error.ts';
import type { Served } from './route.ts';

/** Of one request, as OpenAI's. */
export const mostTexts = 2048;
/** Requests and signals are read at least every 4,096 tokens; what waits takes some megabytes. */
export const queueLimits: QueueLimits = { together: 4096, waiting: 1_000_000 };

/** What texts that a model reads together are predicted from. */
export const predictionQueue = <P>(served: Served, kind: Predicting<never, Encoded, P>): Queue<Encoded, P> =>
  new Queue((texts) => predict(predictorOf(served, kind), texts), tokensOf, queueLimits);

export const tokensOf = ({ sequences }: Encoded): number => sequences.reduce((sum, { ids }) => sum + ids.length, 0);

/** Checks that there are texts, not too many, and none of them empty. */
export function checkTexts(texts: readonly (string | readonly number[])[], param: string): void {
  if (texts.length === 0 || texts.length > mostTexts) {
    throw new RequestError(400, `${param}: has ${texts.length} texts; give 1 to ${mostTexts}`, { param });
  }
  const place = texts.findIndex((text) => (typeof text === 'string' ? text.trim() : text).length === 0);
  if (place < 0) return;
  throw new RequestError(400, `${named(param, place, texts)}: is empty; give it some text`, { param });
}

/** Checks that a model reads all of each text; `bordersOf` says how many tokens around it its user does not count. */
export function checkLengths(
  texts: readonly Encoded[],
  { most, bordersOf, param }: { most: number; bordersOf: (place: number) => number; param: string },
): void {
  const place = texts.findIndex((text) => tokensOf(text) > most);
  if (place < 0) return;
  const numBorders = bordersOf(place);
  const tokens = tokensOf(texts[place]!) - numBorders;
  throw tooLong({ tokens, most: most - numBorders, param, place, texts });
}

interface TooLong {
  tokens: number;
  most: number;
  param: string;
  place: number;
  texts: readonly unknown[];
}

/** A text is longer than a model reads. */
export const tooLong = ({ tokens, most, param, place, texts }: TooLong): RequestError =>
  new RequestError(
    400,
    `${named(param, place, texts)}: has ${tokens} tokens, but this model reads at most ${most}; shorten it`,
    {
      param,
      code: 'context_length_exceeded',
    },
  );

/** A text of a field, as JavaScript calls it. */
const named = (param: string, place: number, { length }: readonly unknown[]) =>
  length === 1 ? param : `${param}[${place}]`;
