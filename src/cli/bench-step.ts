import { median } from '../averages.ts';
import { lastConfig, loadConfig, packageVersion, type StepConfig } from '../config/index.ts';
import { objectives } from '../data/index.ts';
import { constant, stepFlops } from '../depth/index.ts';
import { initialise, numParameters } from '../model/index.ts';
import { dtypeOf, gpus, isCuda, runtime, setNumThreads, synchronize } from '../tensor/index.ts';
import {
  beginStep,
  peakFlops,
  prepareDevice,
  randomBatch,
  type TrainingState,
  trainingState,
  workOf,
} from '../train/index.ts';
import type { BenchOptions, BenchResult } from './bench-options.ts';

/** Times whole optimizer steps of pre-training on random tokens, all with the keep rates of one θ. */
export function benchStep(options: BenchOptions): BenchResult {
  setNumThreads(options.threads);
  prepareDevice(options, undefined);
  const { batch, seq, vocab, theta } = options;
  const state = openState(options);
  const config = lastConfig(state.config);
  const { layers, hiddenSize } = config.model;
  const work = workOf(config, predictedTokens(config));
  const seconds: number[] = [];
  const hostSeconds: number[] = [];
  const layersRun: number[] = [];
  for (let step = 0; step < options.warmup + options.steps; step++) {
    const microBatch = randomBatch({
      sequences: batch,
      sequenceLength: seq,
      vocabSize: vocab,
      predictedTokens: work.predictedTokens,
      hasPairs: objectives[config.data.objective].hasPairs,
    });
    synchronize(options.device);
    const started = performance.now();
    using begun = beginStep(state, step, [microBatch], { lossScale: options.dtype === 'fp16' ? 2 ** 10 : 1 });
    const givenOut = performance.now();
    const result = begun.finish();
    synchronize(options.device);
    if (step < options.warmup) continue;
    seconds.push((performance.now() - started) / 1000);
    hostSeconds.push((givenOut - started) / 1000);
    layersRun.push(result.depth);
  }
  const meanLayers = layersRun.reduce((a, b) => a + b, 0) / layersRun.length;
  const { device, dtype } = options;
  const peakMemory = isCuda(device) ? gpus.peakBytes() / 2 ** 20 : process.resourceUsage().maxRSS / 1024;
  const peak = peakFlops(dtypeOf[dtype], device, isCuda(device) ? 8192 : 2048);
  const mean = seconds.reduce((a, b) => a + b, 0) / seconds.length;
  const flops = stepFlops(work, meanLayers);
  return {
    peer: `taper ${packageVersion()}, libtorch ${runtime().torchVersion}`,
    params_m: round(numParameters(state.specs) / 1e6, 2),
    dtype,
    device: isCuda(device) ? `${device} (${gpus.name()})` : device,
    layers,
    hidden: hiddenSize,
    batch,
    seq,
    vocab,
    theta,
    mean_layers_run: round(meanLayers, 2),
    step_s_median: round(median(seconds), 5),
    step_s_mean: round(mean, 5),
    step_s_min: round(Math.min(...seconds), 5),
    host_s_median: round(median(hostSeconds), 5),
    tokens_per_s: round((batch * seq) / mean, 1),
    threads: runtime().numThreads,
    gflops_per_s: round(flops / mean / 1e9, 1),
    peak_gflops_per_s: round(peak / 1e9, 1),
    mfu: round(flops / mean / peak, 3),
    peak_memory_mb: round(peakMemory, 0),
    step_s: seconds.map((s) => round(s, 5)),
    layers_run: layersRun,
  };
}

function openState(options: BenchOptions): TrainingState {
  const { layers, hidden, heads, ffn, vocab, seq, batch, dropout, dtype, device, steps, warmup } = options;
  const { preset } = options;
  const bert = {
    layers,
    hiddenSize: hidden,
    heads,
    ffnSize: ffn || 4 * hidden,
    norm: options.postln ? ('post' as const) : ('pre' as const),
    dropout,
    attentionDropout: dropout,
  };
  const { config } = loadConfig({
    overrides: {
      model: { ...(preset ? { preset } : bert), vocabSize: vocab, maxPositions: Math.max(8, seq) },
      depth: { granularity: options.granularity },
      data: { sequenceLength: seq },
      train: {
        steps: steps + warmup,
        batchSize: batch,
        optimizer: options.optimizer,
        peakLearningRate: 1e-4,
        schedule: 'constant',
        precision: dtype,
        device,
      },
    },
  });
  const masters = initialise(config.model, config.train.seed, device);
  // PLD late in training: θ is constant.
  return {
    ...trainingState(config, masters),
    depth: constant({ layers: config.model.layers, thetaBar: options.theta, profile: 'linear' }),
  };
}

/** The number of predicted tokens in a batch. */
export function predictedTokens({ data, train }: StepConfig): number {
  const { masks, predicted } = objectives[data.objective];
  const { sequenceLength: T, maskRate } = data;
  return masks ? Math.floor(train.batchSize * T * maskRate) : train.batchSize * predicted(T, maskRate);
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
