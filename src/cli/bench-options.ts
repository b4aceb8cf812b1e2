import type { Config } from '../config/index.ts';
import type { Granularity } from '../depth/index.ts';
import type { presets } from '../model/index.ts';

/** The flags of `taper-lm bench step`. */
export interface BenchOptions {
  /** A published model; replaces the BERT of `layers`, `hidden`, `heads`, `ffn` and `dropout`. */
  preset?: keyof typeof presets;
  layers: number;
  hidden: number;
  heads: number;
  ffn: number;
  vocab: number;
  seq: number;
  batch: number;
  dropout: number;
  dtype: Config['train']['precision'];
  tf32: boolean;
  device: string;
  theta: number;
  granularity: Granularity;
  optimizer: Config['train']['optimizer'];
  postln: boolean;
  steps: number;
  warmup: number;
  threads: number;
}

/** The output of `taper-lm bench step`, with the keys of the PyTorch program that it is compared with. */
export interface BenchResult {
  peer: string;
  params_m: number;
  dtype: string;
  device: string;
  layers: number;
  hidden: number;
  batch: number;
  seq: number;
  vocab: number;
  theta: number;
  mean_layers_run: number;
  step_s_median: number;
  step_s_mean: number;
  step_s_min: number;
  /** Until all work of a step was submitted: a GPU that is faster than this waits for the CPU. */
  host_s_median: number;
  tokens_per_s: number;
  threads: number;
  /** FLOPs of the steps' matrix products and updates, per second. */
  gflops_per_s: number;
  /** The speed of one large matrix product on this machine, in the same precision. */
  peak_gflops_per_s: number;
  /** Model FLOPs utilisation: `gflops_per_s / peak_gflops_per_s`. */
  mfu: number;
  /** Peak resident memory. */
  peak_memory_mb: number;
  /** The time of every measured step, in order, and the number of blocks that it ran. */
  step_s: number[];
  layers_run: number[];
}
