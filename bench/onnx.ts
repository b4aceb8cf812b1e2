import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { openHeldOut } from '../src/cli/held-out.ts';
import { lastConfig } from '../src/config/index.ts';
import type { MicroBatch } from '../src/data/index.ts';
import { exportOnnx, openOutgoing, runnable } from '../src/interop/index.ts';
import { familyOf, modelInputs } from '../src/model/index.ts';
import { noGrad, scope, Tensor } from '../src/tensor/index.ts';
import { feedsOf } from '../tests/onnx.fixture.ts';
import { table, writeResults } from './report.ts';

const limit = 256;

/** [M·V] logits at the predicted tokens of a batch. */
type Run = (batch: MicroBatch) => Promise<Float32Array>;

/** What docs/results/onnx.md holds: size and agreement of exported models in each precision. */
export async function onnx([texts, ...checkpoints]: string[]): Promise<void> {
  if (texts === undefined || checkpoints.length === 0) throw new Error('npm run bench -- onnx TEXTS CHECKPOINT…');
  const sections: string[] = [];
  for (const checkpoint of checkpoints) sections.push(await compare(checkpoint, texts));
  writeResults(
    'onnx',
    'Exported models: size and agreement',
    'npm run bench -- onnx TEXTS CHECKPOINT…',
    `Held-out loss in nats; "same first" is how often the most likely token is that of taper's own float32, and the difference is from its logits, both at the predicted
tokens.

${sections.join('\n\n')}`,
  );
}

async function compare(checkpoint: string, texts: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'taper-onnx-'));
  try {
    const model = openOutgoing(checkpoint, console.warn);
    const out = join(folder, 'model');
    const bytes = exportOnnx(model, out, { encoderOnly: false });
    using heldOut = await openHeldOut(checkpoint, { data: [texts], limit, device: 'cpu' });
    const batches = [...heldOut.batches()];
    const { vocabSize: V, layers, hiddenSize } = model.config;
    const own = runnable(model);
    const taper: Run = async (batch) =>
      scope(() =>
        noGrad(() => {
          const positions = Tensor.from(BigInt64Array.from(batch.predictedPositions, BigInt), [batch.labels.length]);
          return own.tokenLogits(own.encode(modelInputs(batch, 'cpu')), positions).toFloats();
        }),
      );
    const safetensors = statSync(join(model.checkpoint.path, 'model.safetensors')).size;
    const kinds: [string, number, Run][] = [['taper, float32', safetensors, taper]];
    for (const [file, size] of Object.entries(bytes)) {
      const session = await InferenceSession.create(join(out, file));
      kinds.push([file, size, (batch) => logitsOf(session, batch, V)]);
    }
    const reference = await Promise.all(batches.map(taper));
    const rows = [['', 'MB', 'held-out loss', 'same first', 'largest difference of a logit']];
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
    const { sequenceLength } = lastConfig(model.checkpoint.config).data;
    const title = `${familyOf(model.config).title(model.config)}, ${layers} blocks of width ${hiddenSize}, ${V} tokens`;
    return `## ${title}\n\n${heldOut.sequences} sequences of ${sequenceLength} tokens.\n\n${table(rows)}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function logitsOf(session: InferenceSession, batch: MicroBatch, V: number): Promise<Float32Array> {
  const { logits } = await session.run(feedsOf(session, batch));
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
