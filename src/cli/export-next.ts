import { basename, dirname } from 'node:path';
import { TextTokenizer } from '../data/index.ts';
import { commandText } from '../errors/index.ts';
import { type OutgoingModel, pipelineOf } from '../interop/index.ts';

// What follows an export: a program or a command that uses the folder.

const text = "'A text of yours.'";
const together = `[${text}, 'Another text.']`;

/** What a program calls the function of a pipeline, and how it calls it. */
interface Use {
  name: string;
  call(model: OutgoingModel): string;
}

/** By the pipeline of a model in transformers.js. */
const uses: Readonly<Record<string, Use>> = {
  'text-classification': { name: 'classify', call: () => `await classify(${text})` },
  'token-classification': { name: 'tag', call: () => `await tag(${text}, { ignore_labels: [] })` },
  'fill-mask': { name: 'fill', call: (model) => `await fill(${masked(model)})` },
  'text-generation': { name: 'generate', call: () => "await generate('The', { max_new_tokens: 40, do_sample: true })" },
  'feature-extraction': {
    name: 'embed',
    call({ checkpoint: { head } }) {
      const pooling = head?.kind === 'embedding' && head.pooling === 'first' ? 'cls' : 'mean';
      return `(await embed(${together}, { pooling: '${pooling}', normalize: true })).tolist()`;
    },
  },
};

/** A text with the mask of the model's tokenizer. */
function masked({ checkpoint }: OutgoingModel): string {
  const tokenizer = TextTokenizer.fromJson(checkpoint.tokenizerJson);
  return `'The ${tokenizer.tokens([tokenizer.maskId])[0]} sat.'`;
}

/** How transformers.js runs an ONNX export; its pipelines do not give the value of a regression. */
export function onnxNext(model: OutgoingModel, out: string, how: { encoderOnly: boolean }): string {
  if (model.checkpoint.head?.kind === 'regression' && !how.encoderOnly) return '';
  const named = pipelineOf(model, how);
  const task = named === 'sentence-similarity' ? 'feature-extraction' : named; // the former is not a pipeline
  const { name, call } = uses[task]!;
  return `
In Node, after npm install @huggingface/transformers; saved here as use.mjs, it runs with node use.mjs:

import { env, pipeline } from '@huggingface/transformers';

env.localModelPath = ${quoted(`${dirname(out)}/`)};
env.allowRemoteModels = false;
const ${name} = await pipeline('${task}', ${quoted(basename(out))}, { dtype: 'fp32' });
console.log(${call(model)});
`;
}

/** How Python opens a Hugging Face export. */
export function huggingFaceNext(model: OutgoingModel, out: string, how: { encoderOnly: boolean }): string {
  const task = pipelineOf(model, how);
  const lines =
    task === 'sentence-similarity'
      ? [
          'from sentence_transformers import SentenceTransformer',
          `print(SentenceTransformer(${quoted(out)}).encode(${together}))`,
        ]
      : [
          'from transformers import pipeline',
          `print(pipeline('${task}', ${quoted(out)})(${task === 'fill-mask' ? masked(model) : text}))`,
        ];
  return `\nIn Python:\n\n${lines.join('\n')}\n`;
}

/** How llama.cpp runs a GGUF export. */
export function ggufNext(_: OutgoingModel, out: string): string {
  const command = commandText(['llama-completion', '-no-cnv', '-m', `${out}/model-q8_0.gguf`, '-p', 'The']);
  return `\nWith llama.cpp:\n\n${command}\n`;
}

const quoted = (value: string) => `'${value.replaceAll(/[\\']/g, '\\$&')}'`;
