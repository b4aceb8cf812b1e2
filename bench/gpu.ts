import { defaultDevice } from '../src/machine/index.ts';
import { gpus, runtime } from '../src/tensor/index.ts';
import { gpuReport } from './gpu-report.ts';
import { runGpuChecks } from './programs.ts';
import { writeResults } from './report.ts';

// npm run check:gpu: whether a GPU computes what the CPU does, then how fast it trains, beside PyTorch. Some minutes; what is done is
// written at once.

if (gpus.count() === 0) {
  const why = defaultDevice() === 'cuda' ? 'libtorch sees none' : 'there is none, or the addon was built without CUDA';
  console.error(`check:gpu needs an NVIDIA GPU, and ${why}; docs/setup.md says what it takes`);
  process.exit(2);
}
const sizes = {
  device: 'cuda',
  layers: 12,
  hidden: 768,
  seq: 128,
  vocab: 30522,
  microBatches: [256, 64, 1024],
  presets: ['ettin-32m', 'modernbert-base', 'llama-mini'],
  steps: 20,
} as const;
for (const { text, isMet } of gpuReport(runGpuChecks(sizes.device), sizes)) {
  const card = `${gpus.name()}, libtorch ${runtime().torchVersion}.`;
  writeResults('gpu', 'On a GPU', 'npm run check:gpu', `${card}\n\n${text}`);
  process.exitCode = isMet ? 0 : 1;
}
