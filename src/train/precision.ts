import { type ParameterSpec, tiedDecoder, type Weights, wordEmbeddings } from '../model/index.ts';
import { scope, type Tensor } from '../tensor/index.ts';

/** The weights that a forward pass uses, and how they follow the float32 master weights. */
export interface WorkingWeights {
  /** By the model's names; each one a leaf that gradients are asked for. */
  readonly weights: Weights;
  /** The master weight that a working weight stands for, by name. */
  masterOf(name: string): string;
  /** Casts the master weights of these names anew, after an optimizer step has changed them. */
  refresh(names: Iterable<string>): void;
}

/** float32: the forward pass uses the master weights themselves. */
function fp32(masters: Weights): WorkingWeights {
  for (const master of masters.values()) master.requiresGrad();
  return { weights: masters, masterOf: (name) => name, refresh: () => {} };
}

/**
 * bfloat16: operands of matrix products are copies, cast once an optimizer step. Embeddings and norms stay float32, so
 * that looked-up rows sum their gradients in float32; the tied decoder is therefore a copy of its own.
 */
function bf16(masters: Weights, specs: readonly ParameterSpec[]): WorkingWeights {
  const cast = new Set(specs.filter((spec) => spec.inProducts).map((spec) => spec.name));
  const copies = new Map<string, Tensor>();
  const working = new Map<string, Tensor>();
  const copy = (name: string, master: Tensor) => {
    const low = master.detach().to('bfloat16').requiresGrad();
    copies.set(name, low);
    return low;
  };
  for (const [name, master] of masters) working.set(name, cast.has(name) ? copy(name, master) : master.requiresGrad());
  working.set(tiedDecoder, copy(wordEmbeddings, masters.get(wordEmbeddings)!));
  return {
    weights: working,
    masterOf: (name) => (name === tiedDecoder ? wordEmbeddings : name),
    refresh: (names) =>
      scope(() => {
        for (const name of names) copies.get(name)?.copy_(masters.get(name)!);
      }),
  };
}

/** The working weights for a precision, over float32 master weights. */
export function workingWeights(
  precision: 'fp32' | 'bf16',
  masters: Weights,
  specs: readonly ParameterSpec[],
): WorkingWeights {
  return precision === 'fp32' ? fp32(masters) : bf16(masters, specs);
}
