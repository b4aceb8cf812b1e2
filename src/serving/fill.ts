import { z } from 'zod';
import { encodeMasks, fillTogether, type MaskedText } from '../inference/fill.ts';
import { familyOf } from '../model/index.ts';
import { Queue } from './queue.ts';
import { common, type Route, route, type Served } from './route.ts';
import { checkTexts, queueLimits } from './texts.ts';

/** What a pre-trained encoder would write at each [MASK] of a text. */
export function fillRoute(served: Served): Route | undefined {
  const { head, config } = served.checkpoint;
  if (head || familyOf(config.model).isCausal) return undefined;
  const queue = new Queue(
    (texts: readonly (MaskedText & { top: number })[]) => fillTogether(served, texts),
    // The logits of a mask take more memory than the states of many tokens.
    ({ ids, positions }) => Math.max(ids.length, 16 * positions.length),
    queueLimits,
  );
  const body = z.strictObject({
    ...common,
    text: z.string(),
    top: z.int().min(1).max(100).default(5),
  });
  return route(body, { text: 'The [MASK] sat.' }, async ({ text, top }, signal) => {
    checkTexts([text], 'text');
    const [filled] = await queue.ask([{ ...(await encodeMasks(served, text)), top }], signal);
    return { text: filled!.text, masks: filled!.masks };
  });
}
