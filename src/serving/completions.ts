import { randomInt, randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { z } from 'zod';
import { longestSequence } from '../config/phases.ts';
import { type Generated, generate, promptIds } from '../inference/generate.ts';
import { defaultTopK } from '../inference/sampling.ts';
import { cacheNumbers } from '../model/cache.ts';
import { familyOf } from '../model/index.ts';
import { gone } from './request-error.ts';
import { common, type Route, route, type Served } from './route.ts';
import { Slots } from './slots.ts';
import { mostTexts, tooLong } from './texts.ts';

const mostWaiting = 256;
/** For the keys and values of those that run at once. */
const cacheBytes = 1e9;

interface Choice {
  index: number;
  text: string;
  logprobs: null;
  /** Of the last piece of its prompt: whether the model ended the text, or has written as much as it was asked for. */
  finish_reason: 'stop' | 'length' | null;
}

interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

/** A piece of the text of a prompt; the last one has no text, and what all of them took. */
interface Chunk {
  choices: readonly Choice[];
  usage?: Usage;
}

/** OpenAI's completions of prompts, of a decoder. Those that run take turns, token by token. */
export function completionsRoute(served: Served): Route | undefined {
  const { name, tokenizer, checkpoint } = served;
  if (!familyOf(checkpoint.config.model).isCausal) return undefined;
  const longest = longestSequence(checkpoint.config, checkpoint.progress.step);
  const ownBytes = 4 * cacheNumbers(checkpoint.config.model, longest);
  const numAtOnce = Math.max(4, Math.min(64, Math.floor(cacheBytes / ownBytes)));
  const slots = new Slots(numAtOnce, mostWaiting);
  let last: Promise<unknown> = Promise.resolve();
  /** Each token waits for those of the others that came before, and requests are read between any two of them. */
  const turn = () => {
    last = last.then(() => setImmediate());
    return last;
  };

  const body = z.strictObject({
    ...common,
    prompt: z
      .union([z.string(), z.array(z.string()).min(1).max(mostTexts)], { error: 'expected a text or a list of texts' })
      .default(''),
    max_tokens: z.int().min(1).default(16),
    temperature: z.number().min(0).default(1),
    top_p: z.number().min(0).max(1).default(1),
    top_k: z.int().min(1).default(defaultTopK),
    seed: z.int().min(0).optional(),
    stop: z
      .union([z.string().min(1), z.array(z.string().min(1)).max(4)], { error: 'expected a text, or up to 4' })
      .default([]),
    echo: z.boolean().default(false),
    stream: z.boolean().default(false),
    stream_options: z.strictObject({ include_usage: z.boolean().default(false) }).optional(),
    n: z.literal(1).optional(),
    best_of: z.literal(1).optional(),
    frequency_penalty: z.literal(0).optional(),
    presence_penalty: z.literal(0).optional(),
  });
  type Body = z.infer<typeof body>;

  async function* write(asked: Body, signal: AbortSignal): AsyncGenerator<Chunk> {
    const prompts = [asked.prompt].flat();
    for (const [place, prompt] of prompts.entries()) {
      const { length } = await promptIds(tokenizer, prompt);
      if (length > longest) throw tooLong({ tokens: length, most: longest, param: 'prompt', place, texts: prompts });
    }
    using _slot = await slots.take(signal);
    const { max_tokens: tokens, temperature, top_p: topP, top_k: topK, seed = randomInt(2 ** 31) } = asked;
    const options = { tokens, temperature, topP, topK, seed, stop: [asked.stop].flat() };
    const usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
    for (const [index, prompt] of prompts.entries()) {
      const choice = { index, logprobs: null, finish_reason: null };
      let ended: Generated | undefined;
      const pieces = async function* () {
        ended = yield* generate(served, prompt, options);
      };
      if (asked.echo) yield { choices: [{ ...choice, text: prompt }] };
      for await (const text of pieces()) {
        if (text !== '') yield { choices: [{ ...choice, text }] };
        await turn();
        if (signal.aborted) throw gone();
      }
      usage.prompt_tokens += ended!.promptTokens;
      usage.completion_tokens += ended!.tokens;
      yield { choices: [{ ...choice, text: '', finish_reason: ended!.isEnded ? 'stop' : 'length' }] };
    }
    yield { choices: [], usage: { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens } };
  }

  return route(body, { prompt: 'The', max_tokens: 40 }, (asked, signal) => {
    const created = Math.floor(Date.now() / 1000);
    const head = { id: `cmpl-${randomUUID()}`, object: 'text_completion', created, model: name };
    const chunks = write(asked, signal);
    return asked.stream ? streamed(head, chunks, asked.stream_options?.include_usage) : whole(head, chunks);
  });
}

async function* streamed(head: object, chunks: AsyncIterable<Chunk>, hasUsage = false): AsyncGenerator<object> {
  for await (const chunk of chunks) if (hasUsage || !chunk.usage) yield { ...head, ...chunk };
}

async function whole(head: object, chunks: AsyncIterable<Chunk>): Promise<object> {
  const choices: Choice[] = [];
  let usage: Usage | undefined;
  for await (const chunk of chunks) {
    for (const choice of chunk.choices) {
      choices[choice.index] = { ...choice, text: (choices[choice.index]?.text ?? '') + choice.text };
    }
    usage ??= chunk.usage;
  }
  return { ...head, choices, usage };
}
