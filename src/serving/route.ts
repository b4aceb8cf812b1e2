import { z } from 'zod';
import type { TrainedModel } from '../inference/index.ts';

/** A model as it is served. */
export interface Served extends TrainedModel {
  /** What clients call it. */
  name: string;
}

/** What a model does for clients. */
export interface Route<B = unknown> {
  /** The body of a request. */
  body: z.ZodType<B>;
  /** A body to try. */
  example: object;
  /**
   * The answer, as JSON; a generator is streamed, and stopped when the client disconnects.
   *
   * @throws RequestError for a request that cannot be answered.
   */
  answer(body: B, signal: AbortSignal): Promise<object> | AsyncGenerator<object>;
}

/** A route whose answer reads the body that it takes. */
export const route = <B, I extends object>(body: z.ZodType<B, I>, example: I, answer: Route<B>['answer']): Route =>
  ({ body, example, answer }) as Route;

/** What every body may have. */
export const common = { model: z.string().optional(), user: z.string().optional() };
