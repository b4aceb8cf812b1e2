import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Config, lastConfig, loadConfig, type PartialConfig } from '../src/config/index.ts';
import { depthMethod, expectedDepth, stepFlops } from '../src/depth/index.ts';
import { joinRanks, rankEnvironment } from '../src/distributed/index.ts';
import { numParameters, parameterSpecs, partsOf } from '../src/model/index.ts';
import { readMetrics } from '../src/runs/index.ts';
import { Tensor } from '../src/tensor/index.ts';
import { measureSteps, workOf } from '../src/train/index.ts';
import { onTwoHosts } from '../tests/faults/hosts.ts';
import { table, writeResults } from './report.ts';
import { type Network, type RankStep, stepTime } from './scaling-model.ts';

const runner = fileURLToPath(new URL('run.js', import.meta.url));
const steps = 40;
/** Megabits a second between the two hosts; undefined as fast as the machine copies. */
const links = [undefined, 1000, 200] as const;

const batch = { batchSize: 128, microBatchSize: 128, threads: 1 };
const methods: Record<string, PartialConfig['depth']> = {
  dense: { method: 'dense' },
  'half of the blocks': { method: 'constant', thetaBar: 0.5, profile: 'uniform' },
};

/** In two micro-batches, so that the update is timed apart from the rest. */
function measuredConfig(): Config {
  return loadConfig({
    file: 'configs/paper.yaml',
    overrides: { train: { ...batch, microBatchSize: batch.batchSize / 2 } },
  }).config;
}

/** The parts of a step, as two processes measure them at once: they share the memory's bandwidth, as two ranks do. */
async function measuredWork(): Promise<RankStep> {
  const both = await Promise.all([1, 2].map(() => printed([runner, 'scaling-work'])));
  const all = both.map((text) => JSON.parse(text) as RankStep);
  const mean = (key: keyof RankStep) => (all[0]![key] + all[1]![key]) / 2;
  return {
    block: mean('block'),
    outside: mean('outside'),
    update: mean('update'),
    blockBytes: mean('blockBytes'),
    outsideBytes: mean('outsideBytes'),
  };
}

/** What is sent of a block's gradients, and of those outside the blocks. */
function gradientBytes({ model }: Config): Pick<RankStep, 'blockBytes' | 'outsideBytes'> {
  const { blocks, outer } = partsOf(model, parameterSpecs(model));
  return { blockBytes: 4 * numParameters(blocks[0]!), outsideBytes: 4 * numParameters(outer) };
}

/** In a process of its own: prints the parts of a step. */
export function scalingWork(): void {
  const config = measuredConfig();
  const { layers } = config.model;
  const { once, update, microBatch, block } = measureSteps(lastConfig(config));
  const work: RankStep = {
    block: 2 * block, // of both micro-batches
    outside: 2 * microBatch,
    update: once + layers * update,
    ...gradientBytes(config),
  };
  console.log(JSON.stringify(work));
}

/** On each of two ranks: prints what the network between them does. */
export async function scalingNetwork(): Promise<void> {
  using group = await joinRanks(rankEnvironment(), { device: 'cpu', timeoutSeconds: 30 });
  const seconds = (numbers: number, times: number) => {
    using x = Tensor.zeros([numbers]);
    group.allReduce(x).wait();
    const started = performance.now();
    for (let i = 0; i < times; i++) group.allReduce(x).wait();
    return (performance.now() - started) / 1000 / times;
  };
  const latency = seconds(1, 200) / 2;
  const numbers = 1e6;
  const bandwidth = (4 * numbers) / (seconds(numbers, 5) - 2 * latency);
  if (group.rank === 0) console.log(JSON.stringify({ latency, bandwidth } satisfies Network));
}

function printed(words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (more) => {
      text += more;
    });
    child.on('close', (code) =>
      code === 0 ? resolve(text.trim().split('\n').at(-1)!) : reject(new Error(`${words}: ${code}`)),
    );
  });
}

/** What docs/results/scaling.md holds: steps of one and two ranks over several links, beside the model of docs/scaling.md. */
export async function scaling(texts: readonly string[]): Promise<void> {
  if (texts.length === 0) throw new Error('give texts: npm run bench -- scaling my/texts');
  const folder = mkdtempSync(join(tmpdir(), 'taper-scaling-'));
  try {
    const work = await measuredWork();
    const rows: string[][] = [];
    for (const megabits of links) {
      await onTwoHosts(async (hosts) => {
        if (megabits !== undefined) hosts.limit(megabits);
        const [first] = await Promise.all(
          hosts.start(['scaling-network'], { cwd: folder, program: runner }).map(({ ended }) => ended),
        );
        const network = JSON.parse(first!.stdout) as Network;
        const link = megabits === undefined ? 'no limit' : `${megabits} Mbit/s`;
        for (const [name, depth] of Object.entries(methods)) {
          const out = join(folder, `${name}-${megabits}`.replaceAll(' ', '-'));
          const sets = setsOf(depth, join(folder, 'cache'));
          const words = ['pretrain', 'configs/paper.yaml', '--out', out, '--data', ...texts, '--set', ...sets];
          const ends = await Promise.all(hosts.start(words, { cwd: root }).map(({ ended }) => ended));
          for (const { code, stderr } of ends) if (code !== 0) throw new Error(stderr);
          rows.push([link, linkText(network), name, ...compared(out, work, network, 2)]);
          console.log(rows.at(-1)!.join('  '));
        }
      });
    }
    writeResults('scaling', 'Steps over several ranks', 'npm run bench -- scaling TEXTS', document(work, rows));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const root = fileURLToPath(new URL('../..', import.meta.url));

function setsOf(depth: PartialConfig['depth'], cache: string): string[] {
  const all = { ...batch, steps, evalEvery: 0, evalSamples: 64, saveEvery: 0 };
  return [
    ...Object.entries(all).map(([key, value]) => `train.${key}=${value}`),
    ...Object.entries(depth!).map(([key, value]) => `depth.${key}=${value}`),
    `data.cache=${cache}`,
  ];
}

const linkText = ({ bandwidth, latency }: Network) =>
  `${(bandwidth / 1e6).toFixed(0)} MB/s, ${(1e6 * latency).toFixed(0)} µs`;

/** The mean step of a run (its first ones left out), what the model says of it, and how much of each is waiting. */
function compared(run: string, work: RankStep, network: Network, ranks: number): string[] {
  const lines = readMetrics(join(run, 'metrics.jsonl')).flatMap((line) =>
    line.type === 'step' && line.step > 5 ? [line] : [],
  );
  const mean = (of: (line: (typeof lines)[0]) => number) =>
    lines.reduce((sum, line) => sum + of(line), 0) / lines.length;
  const found = mean(({ stepSeconds }) => stepSeconds);
  const waited = mean(({ waitSeconds }) => waitSeconds ?? 0);
  const said = mean(({ depth }) => stepTime(work, depth, ranks, network).seconds);
  const waits = mean(({ depth }) => stepTime(work, depth, ranks, network).waiting);
  const ms = (seconds: number) => (1000 * seconds).toFixed(0);
  return [ms(found), ms(said), (said / found).toFixed(2), ms(waited), ms(waits)];
}

/** What is assumed of GPUs and of what connects them. */
const gpu = { flops: 0.4 * 312e12, memory: 1.5e12 };
const clusters: { gpus: number; network: Network }[] = [
  { gpus: 8, network: { bandwidth: 200e9, latency: 5e-6, trees: true } },
  { gpus: 64, network: { bandwidth: 25e9, latency: 1e-5, trees: true } },
  { gpus: 1024, network: { bandwidth: 25e9, latency: 1e-5, trees: true } },
];
/** AdamW reads weight, gradient and both moments, and writes all but the gradient. */
const updateBytes = 28;

function onPaper(): string[][] {
  const rows: string[][] = [];
  for (const preset of ['bert-base', 'bert-large'] as const) {
    const train = { steps: 100_000, batchSize: 4096 };
    const { config } = loadConfig({ overrides: { model: { preset }, depth: { method: 'pld' }, train } });
    const step = workOf(lastConfig(config));
    const { layers } = config.model;
    const parameters = numParameters(parameterSpecs(config.model));
    const perBlock = (stepFlops(step, layers) - stepFlops(step, 0)) / layers;
    const work: RankStep = {
      block: perBlock / gpu.flops,
      outside: stepFlops(step, 0) / gpu.flops,
      update: (updateBytes * parameters) / gpu.memory,
      ...gradientBytes(config),
    };
    const late = expectedDepth(depthMethod(config.depth, layers, train.steps)(train.steps - 1).keepRates);
    for (const { gpus, network } of clusters) {
      const [dense, pld] = [layers, late].map((depth) => stepTime(work, depth, gpus, network));
      const alone = stepTime(work, layers, 1, network).seconds;
      const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
      rows.push([
        preset,
        String(gpus),
        (1000 * dense!.seconds).toFixed(1),
        percent(alone / gpus / dense!.seconds),
        percent(dense!.waiting / dense!.seconds),
        (1000 * pld!.seconds).toFixed(1),
        percent(1 - pld!.seconds / dense!.seconds),
        percent(pld!.waiting / pld!.seconds),
      ]);
    }
  }
  return rows;
}

function document({ block, outside, update, blockBytes, outsideBytes }: RankStep, rows: readonly string[][]): string {
  const ms = (seconds: number) => (1000 * seconds).toFixed(1);
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(2);
  return `The model is that of [scaling.md](../scaling.md).

## Two ranks here

\`configs/paper.yaml\` in steps of ${batch.batchSize} sequences, one thread per rank, ${steps} steps; the first five are left out. The parts of a
step were measured by two concurrent processes, each with the whole batch: ${ms(block)} ms per block, ${ms(outside)} ms outside of the
blocks, ${ms(update)} ms for the update; gradients of ${megabytes(blockBytes)} MB per block and ${megabytes(outsideBytes)} MB outside. The ranks are in two network
namespaces; their link was measured with sums of one number and of a million.

${table([['limit', 'link, as measured', 'blocks', 'step, ms', 'by the model, ms', 'model / step', 'waited, ms', 'by the model, ms'], ...rows])}

## GPUs, on paper

Steps of 4,096 sequences of 128 tokens on GPUs that reach ${(gpu.flops / 1e12).toFixed(0)} TFLOP/s (40 % of 312) and read ${gpu.memory / 1e12} TB/s; ${clusters
    .map(({ gpus, network }) => `${gpus} with ${network.bandwidth / 1e9} GB/s and ${1e6 * network.latency} µs`)
    .join(', ')}. A sum goes over
a ring or two trees, whichever is faster. Gradients are float32. This has not been run.

${table([
  ['model', 'GPUs', 'dense, ms', 'of linear speed-up', 'waiting', 'PLD at θ = 0.5, ms', 'saved', 'waiting'],
  ...onPaper(),
])}`;
}
