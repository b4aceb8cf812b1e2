import { z } from 'zod';
import { familyOf, plainEmbedding } from '../model/index.ts';
import { shortened, vectorKind } from '../tasks/embed.ts';
import type { Encoded } from '../tasks/task.ts';
import { common, type Route, route, type Served } from './route.ts';
import { checkLengths, checkTexts, predictionQueue, tokensOf } from './texts.ts';

/** OpenAI's embeddings, of an encoder that was fine-tuned for them or only pre-trained. */
export function embeddingsRoute(served: Served): Route | undefined {
  const { name, tokenizer, checkpoint } = served;
  const { head = plainEmbedding, config } = checkpoint;
  if (!familyOf(config.model).takesHeads || head.kind !== 'embedding') return undefined;
  const { hiddenSize, maxPositions } = config.model;
  const kind = vectorKind(head);
  const queue = predictionQueue(served, kind);

  const lastId = tokenizer.vocabSize - 1;
  const token = z.int().min(0).max(lastId);
  const body = z.strictObject({
    ...common,
    input: z.union([z.string(), z.array(z.string()), z.array(token), z.array(z.array(token))], {
      error: `expected a text, a list of texts, token ids from 0 to ${lastId}, or a list of such lists`,
    }),
    encoding_format: z.enum(['float', 'base64']).default('float'),
    dimensions: z.int().min(1).max(hiddenSize).default(hiddenSize),
  });

  async function encode(inputs: readonly (string | readonly number[])[]): Promise<Encoded[]> {
    if (typeof inputs[0] === 'string') return kind.encode(inputs as string[], tokenizer, Infinity);
    return (inputs as number[][]).map((own) => {
      const ids = Int32Array.from([tokenizer.clsId, ...own, tokenizer.sepId]);
      return { sequences: [{ ids, secondStart: ids.length }] };
    });
  }

  return route(body, { input: 'A text of yours.' }, async ({ input, encoding_format, dimensions }, signal) => {
    const isOne = typeof input === 'string' || typeof input[0] === 'number';
    const inputs = (isOne ? [input] : input) as (string | number[])[];
    checkTexts(inputs, 'input');
    const texts = await encode(inputs);
    checkLengths(texts, { most: maxPositions, bordersOf: () => 2, param: 'input' });
    const vectors = await queue.ask(texts, signal);
    const tokens = texts.reduce((sum, text) => sum + tokensOf(text), 0);
    return {
      object: 'list',
      data: vectors.map((vector, index) => {
        const own = shortened(vector, dimensions, head);
        return { object: 'embedding', index, embedding: encoding_format === 'float' ? [...own] : base64(own) };
      }),
      model: name,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    };
  });
}

/** The bytes of float32 numbers, the lowest of each first. */
const base64 = ({ buffer, byteOffset, byteLength }: Float32Array) =>
  Buffer.from(buffer, byteOffset, byteLength).toString('base64');
