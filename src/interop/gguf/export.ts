import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { specialIdsOf } from '../../data/index.ts';
import { CheckpointError } from '../../errors/index.ts';
import { writing } from '../../files/index.ts';
import { familyOf } from '../../model/index.ts';
import { scope } from '../../tensor/index.ts';
import { modelCard, nameOf } from '../card.ts';
import { newFolder } from '../export-hf.ts';
import { checkWhole, type OutgoingModel } from '../model.ts';
import type { GgufDecoder } from './decoder.ts';
import { type TensorType, tensorTypes, writeGguf } from './file.ts';
import { llama } from './llama.ts';
import { tokenizerFields } from './tokenizer.ts';
import { putValues } from './values.ts';

/** The files of an export, by the precision of their matrices, with GGUF's number for it. */
const precisions: Readonly<Record<TensorType, { file: string; number: number }>> = {
  F32: { file: 'model-f32.gguf', number: 0 },
  F16: { file: 'model-f16.gguf', number: 1 },
  Q8_0: { file: 'model-q8_0.gguf', number: 7 },
};

/** How the 8 bits are packed; the one that llama.cpp reads. */
const quantizationVersion = 2;

/** The families that llama.cpp supports. */
const decoders: Readonly<Record<string, GgufDecoder>> = { llama };

/**
 * Writes a folder with the files that llama.cpp runs, the tokenizer in each of them: `model-f32.gguf`, `model-f16.gguf` and
 * `model-q8_0.gguf`. Returns the bytes of each file.
 *
 * @throws CheckpointError for a model or a tokenizer that llama.cpp does not support, and with `encoderOnly`.
 * @throws OutputError when the folder already exists or cannot be written.
 */
export function exportGguf(
  model: OutgoingModel,
  out: string,
  { encoderOnly, warn }: { encoderOnly: boolean; warn: (message: string) => void },
): Record<string, number> {
  const { checkpoint, config, weights } = model;
  const decoder = decoders[config.kind];
  if (decoder === undefined) {
    throw new CheckpointError(
      `${checkpoint.path}: is a ${config.kind} model; only ${Object.keys(decoders).join(', ')} can be exported to GGUF; use --to hf or --to onnx`,
    );
  }
  checkWhole(model, encoderOnly);
  const specialIds = specialIdsOf(checkpoint.tokenizerJson);
  const json = familyOf(config).huggingFace.write(config, { specialIds });
  const [mistake] = decoder.mistakes(config, json);
  if (mistake !== undefined) {
    throw new CheckpointError(
      `${checkpoint.path}: has ${mistake}, which llama.cpp's ${json.model_type} does not support; export it with --to hf`,
    );
  }
  const fields = {
    ...decoder.fields(config, json),
    'general.name': nameOf(checkpoint),
    'general.quantization_version': quantizationVersion,
    ...tokenizerFields(model, warn),
  };
  const tensors = decoder.tensors(config, json, weights);
  newFolder(out);
  const bytes: Record<string, number> = {};
  for (const [precision, { file, number }] of Object.entries(precisions)) {
    const path = join(out, file);
    const written = tensors.map(({ name, shape, make }) => {
      const type = typeOf(shape, precision as TensorType);
      return {
        name,
        shape,
        type,
        write: (put: (bytes: Uint8Array) => void) => scope(() => putValues(make(), type, put)),
      };
    });
    writing(path, () => writeGguf(path, { ...fields, 'general.file_type': number }, written));
    bytes[file] = statSync(path).size;
  }
  const card = join(out, 'README.md');
  writing(card, () => writeFileSync(card, modelCard(model, { encoderOnly: false, library: 'gguf' })));
  return bytes;
}

/** As in llama.cpp: norms and biases in float32, and rows that are not whole blocks of 8 bits in float16. */
function typeOf(shape: readonly number[], precision: TensorType): TensorType {
  if (shape.length === 1) return 'F32';
  return shape.at(-1)! % tensorTypes[precision].elements === 0 ? precision : 'F16';
}
