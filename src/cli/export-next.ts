import { basename, dirname } from 'node:path';
import { TextTokenizer } from '../data/index.ts';
import { commandText } from '../errors/index.ts';
import { type OutgoingModel, pipelineOf } from '../interop/index.ts';

// What follows an export: a program or a command that uses the folder.

const text = "'A text of yours.'";

/** How programs use a pipeline. */
interface Use {
  /** What the function is called. */
  name: string;
  /** What it is given, in JavaScript and in Python. */
  input(model: OutgoingModel): string;
  /** Its options in transformers.js. */
  options?(model: OutgoingModel): string;
  /** What is done with its result in transformers.js. */
  method?: string;
  /** The pipeline, if the Hub has another name for it. */
  pipeline?: string;
  /** The expression in Python, if it is no pipeline of transformers, and what it needs. */
  python?: { imports: string; call(folder: string, input: string): string };
}

/** The names of transformers.js. */
const poolingNames = { mean: 'mean', first: 'cls' };

const embedding: Use = {
  name: 'embed',
  input: () => `[${text}, 'Another text.']`,
  options({ checkpoint: { head } }) {
    const pooling = poolingNames[head && 'pooling' in head ? head.pooling : 'mean'];
    return `{ pooling: '${pooling}', normalize: true }`;
  },
  method: 'tolist()',
};

/** By the pipeline of a model. */
const uses: Readonly<Record<string, Use>> = {
  'text-classification': { name: 'classify', input: () => text },
  'token-classification': { name: 'tag', input: () => text, options: () => '{ ignore_labels: [] }' },
  'fill-mask': { name: 'fill', input: masked },
  'text-generation': {
    name: 'generate',
    input: () => "'The'",
    options: () => '{ max_new_tokens: 40, do_sample: true }',
  },
  'feature-extraction': embedding,
  'sentence-similarity': {
    ...embedding,
    pipeline: 'feature-extraction',
    python: {
      imports: 'from sentence_transformers import SentenceTransformer',
      call: (folder, input) => `SentenceTransformer(${folder}).encode(${input})`,
    },
  },
};

/** A text with the mask of the model's tokenizer. */
function masked({ checkpoint }: OutgoingModel): string {
  const tokenizer = TextTokenizer.fromJson(checkpoint.tokenizerJson);
  return `'The ${tokenizer.tokens([tokenizer.maskId])[0]} sat.'`;
}

/** How transformers.js runs an ONNX export; nothing for a regression, whose value its pipelines turn into a score of 1. */
export function onnxNext(model: OutgoingModel, out: string, how: { encoderOnly: boolean }): string {
  if (model.checkpoint.head?.kind === 'regression' && !how.encoderOnly) return '';
  const task = pipelineOf(model, how);
  const { name, input, options, method, pipeline = task } = uses[task]!;
  const called = `await ${name}(${[input(model), ...(options ? [options(model)] : [])].join(', ')})`;
  return `
In Node, after npm install @huggingface/transformers; saved here as use.mjs, it runs with node use.mjs:

import { env, pipeline } from '@huggingface/transformers';

env.localModelPath = ${quoted(`${dirname(out)}/`)};
env.allowRemoteModels = false;
const ${name} = await pipeline('${pipeline}', ${quoted(basename(out))}, { dtype: 'fp32' });
console.log(${method === undefined ? called : `(${called}).${method}`});
`;
}

/** How Python opens a Hugging Face export. */
export function huggingFaceNext(model: OutgoingModel, out: string, how: { encoderOnly: boolean }): string {
  const task = pipelineOf(model, how);
  const { input, python } = uses[task]!;
  const { imports, call } = python ?? {
    imports: 'from transformers import pipeline',
    call: (folder: string, given: string) => `pipeline('${task}', ${folder})(${given})`,
  };
  return `\nIn Python:\n\n${imports}\nprint(${call(quoted(out), input(model))})\n`;
}

/** How llama.cpp runs a GGUF export. */
export function ggufNext(_: OutgoingModel, out: string): string {
  const command = commandText(['llama-completion', '-no-cnv', '-m', `${out}/model-q8_0.gguf`, '-p', 'The']);
  return `\nWith llama.cpp:\n\n${command}\n`;
}

const quoted = (value: string) => `'${value.replaceAll(/[\\']/g, '\\$&')}'`;
