import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { openHeldOut } from '../src/cli/held-out.ts';
import { lastConfig } from '../src/config/index.ts';
import type { MicroBatch } from '../src/data/index.ts';
import { exportOnnx, openOutgoing, runnable } from '../src/interop/index.ts';
import { modelInputs } from '../src/model/index.ts';
import { noGrad, scope, Tensor } from '../src/tensor/index.ts';
import { table, writeResults } from './report.ts';

const limit = 256;

/** [M·V] logits at the masked tokens of a batch. */
type Run = (batch: MicroBatch) => Promise<Float32Array>;

/** What docs/results/onnx.md holds: size and agreement of an exported model in float32 and in 8 bits. */
export async function onnx([checkpoint, ...texts]: string[]): Promise<void> {
  if (checkpoint === undefined || texts.length === 0) throw new Error('npm run bench -- onnx CHECKPOINT my/texts');
  const folder = mkdtempSync(join(tmpdir(), 'taper-onnx-'));
  try {
    const model = openOutgoing(checkpoint, console.warn);
    const out = join(folder, 'model');
    const bytes = exportOnnx(model, out, { encoderOnly: false });
    using heldOut = await openHeldOut(checkpoint, { data: texts, limit, device: 'cpu' });
    const batches = [...heldOut.batches()];
    const { vocabSize: V } = model.config;
    const own = runnable(model);
    const taper: Run = async (batch) =>
      scope(() =>
        noGrad(() => {
          const positions = Tensor.from(BigInt64Array.from(batch.predictedPositions, BigInt), [batch.labels.length]);
          return own.tokenLogits(own.encode(modelInputs(batch, 'cpu')), positions).toFloats();
        }),
      );
    const graphOf = async (file: string): Promise<Run> => {
      const session = await InferenceSession.create(join(out, file));
      return (batch) => logitsOf(session, batch, V);
    };
    const safetensors = statSync(join(model.checkpoint.path, 'model.safetensors')).size;
    const kinds: [string, number, Run][] = [['taper, float32', safetensors, taper]];
    for (const [file, size] of Object.entries(bytes)) kinds.push([file, size, await graphOf(file)]);

    const reference = await Promise.all(batches.map(taper));
    const rows = [['', 'MB', 'held-out MLM loss', 'same likeliest piece', 'largest difference of a logit']];
    for (const [name, size, run] of kinds) {
      const found: Float32Array[] = [];
      for (const batch of batches) found.push(await run(batch));
      const { loss, same, furthest } = compared(batches, reference, found, V);
      rows.push([
        name,
        (size / 1e6).toFixed(1),
        loss.toFixed(4),
        `${(100 * same).toFixed(1)} %`,
        furthest.toExponential(1),
      ]);
    }
    const { layers, hiddenSize } = model.config;
    const { sequenceLength } = lastConfig(model.checkpoint.config).data;
    writeResults(
      'onnx',
      'Exported models: size and agreement',
      'npm run bench -- onnx CHECKPOINT TEXTS',
      `A BERT of ${layers} blocks of width ${hiddenSize} and ${V} pieces, on ${heldOut.sequences} held-out sequences of ${sequenceLength} tokens; differences are to taper's
own float32 logits at the masked tokens.

${table(rows)}`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function logitsOf(session: InferenceSession, batch: MicroBatch, V: number): Promise<Float32Array> {
  const { numSequences: N, sequenceLength: T, documents } = batch;
  const ints = (values: ArrayLike<number>) =>
    new OrtTensor('int64', BigInt64Array.from(Array.from(values, BigInt)), [N, T]);
  const mask = Int32Array.from({ length: N * T }, (_, i) => (i % T < documents[Math.floor(i / T)]![0]! ? 1 : 0));
  const feeds = {
    input_ids: ints(batch.inputIds),
    attention_mask: ints(mask),
    token_type_ids: ints(batch.tokenTypeIds),
  };
  const { logits } = await session.run(feeds);
  const all = logits!.data as Float32Array;
  const picked = new Float32Array(batch.labels.length * V);
  batch.predictedPositions.forEach((position, m) => {
    picked.set(all.subarray(position * V, (position + 1) * V), m * V);
  });
  return picked;
}

function compared(
  batches: readonly MicroBatch[],
  reference: readonly Float32Array[],
  found: readonly Float32Array[],
  V: number,
) {
  let [lossSum, same, count, furthest] = [0, 0, 0, 0];
  batches.forEach(({ labels }, b) => {
    labels.forEach((label, m) => {
      const [theirs, ours] = [found[b]!, reference[b]!].map((logits) => logits.subarray(m * V, (m + 1) * V));
      lossSum += Math.log(theirs!.reduce((sum, x) => sum + Math.exp(x), 0)) - theirs![label]!;
      same += Number(likeliest(theirs!) === likeliest(ours!));
      count += 1;
      theirs!.forEach((x, v) => {
        furthest = Math.max(furthest, Math.abs(x - ours![v]!));
      });
    });
  });
  return { loss: lossSum / count, same: same / count, furthest };
}

const likeliest = (logits: Float32Array) => logits.indexOf(Math.max(...logits));
