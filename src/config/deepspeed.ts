import { z } from 'zod';
import { ConfigError } from '../errors/index.ts';
import { defaultDevice } from '../machine/index.ts';
import { ratioOf } from '../optimizers/index.ts';
import type { PartialConfig } from './schema.ts';

/** A DeepSpeed config translated to taper's settings. */
export interface FromDeepSpeed {
  config: PartialConfig;
  /** Settings that were ignored or changed. */
  warnings: string[];
}

const optimizerParams = z.looseObject({
  lr: z.number().optional(),
  betas: z.tuple([z.number(), z.number()]).optional(),
  eps: z.number().optional(),
  weight_decay: z.number().optional(),
  bias_correction: z.boolean().optional(),
  adam_w_mode: z.boolean().optional(),
});
const optimizer = z.looseObject({ type: z.string(), params: optimizerParams.optional() });
const schedulerParams = z.looseObject({
  warmup_min_lr: z.number().optional(),
  warmup_max_lr: z.number().optional(),
  warmup_min_ratio: z.number().optional(),
  warmup_num_steps: z.number().optional(),
  warmup_type: z.string().optional(),
  cos_min_ratio: z.number().optional(),
  total_num_steps: z.number().optional(),
});
const scheduler = z.looseObject({ type: z.string(), params: schedulerParams.optional() });
const precision = z.looseObject({ enabled: z.boolean().optional() });
const layerDrop = z.looseObject({
  enabled: z.boolean().optional(),
  theta: z.number().optional(),
  gamma: z.number().optional(),
});

const deepSpeedSchema = z.looseObject({
  train_batch_size: z.number().optional(),
  train_micro_batch_size_per_gpu: z.number().optional(),
  gradient_accumulation_steps: z.number().optional(),
  optimizer: optimizer.optional(),
  scheduler: scheduler.optional(),
  gradient_clipping: z.number().optional(),
  bf16: precision.optional(),
  fp16: precision.optional(),
  progressive_layer_drop: layerDrop.nullish(),
  steps_per_print: z.unknown().optional(), // taper logs every step
});

type DeepSpeed = z.infer<typeof deepSpeedSchema>;
type Translated<S extends keyof PartialConfig> = NonNullable<PartialConfig[S]>;

/**
 * Translates a DeepSpeed JSON config: batch sizes, Adam, AdamW or LAMB, WarmupLR, WarmupDecayLR or WarmupCosineLR, clipping,
 * precision and `progressive_layer_drop`. The file has no profile along the depth, so taper's default applies.
 * Warnings name the keys that taper does not use and those that are "auto". `train_batch_size` is the batch over all
 * GPUs, like taper's `batchSize`. `fp16` needs a GPU: `device` is the one that training runs on.
 *
 * @throws ConfigError for a value of the wrong type.
 */
export function fromDeepSpeed(json: unknown, device: string = defaultDevice()): FromDeepSpeed {
  const warnings: string[] = [];
  const automatic: string[] = [];
  const parsed = deepSpeedSchema.safeParse(withoutAutomatic(json, '', automatic));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new ConfigError(`DeepSpeed config: ${issue?.path.join('.') || 'the file'}: ${issue?.message}`);
  }
  const file = parsed.data;
  if (automatic.length > 0) warnings.push(`DeepSpeed keys set to "auto" use taper's defaults: ${automatic.join(', ')}`);
  const unused = unusedKeys(file);
  if (unused.length > 0) warnings.push(`DeepSpeed keys that taper ignores: ${unused.join(', ')}`);

  const train = {
    ...batchSizes(file),
    ...optimizerSettings(file, warnings),
    ...scheduleSettings(file, automatic, warnings),
    ...(file.gradient_clipping !== undefined && { clipNorm: file.gradient_clipping }),
    ...precisionSettings(file, { automatic, device, warnings }),
  };
  const config = {
    train,
    ...(file.progressive_layer_drop && { depth: depthSettings(file.progressive_layer_drop, warnings) }),
  };
  return { config, warnings };
}

/** The JSON without keys whose value is "auto" (Hugging Face's Trainer fills those in); adds their paths to `found`. */
function withoutAutomatic(json: unknown, path: string, found: string[]): unknown {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return json;
  const kept: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(json)) {
    if (value === 'auto') found.push(path + key);
    else kept[key] = withoutAutomatic(value, `${path}${key}.`, found);
  }
  return kept;
}

function unusedKeys(file: DeepSpeed): string[] {
  const beyond = (schema: z.ZodObject, value: object | null | undefined, prefix: string) =>
    Object.keys(value ?? {})
      .filter((key) => !(key in schema.shape))
      .map((key) => prefix + key);
  return [
    ...beyond(deepSpeedSchema, file, ''),
    ...beyond(optimizer, file.optimizer, 'optimizer.'),
    ...beyond(optimizerParams, file.optimizer?.params, 'optimizer.params.'),
    ...beyond(scheduler, file.scheduler, 'scheduler.'),
    ...beyond(schedulerParams, file.scheduler?.params, 'scheduler.params.'),
    ...beyond(precision, file.bf16, 'bf16.'),
    ...beyond(precision, file.fp16, 'fp16.'),
    ...beyond(layerDrop, file.progressive_layer_drop, 'progressive_layer_drop.'),
  ];
}

/** Derives the third of the three sizes from the other two, for one GPU. */
function batchSizes(file: DeepSpeed): Translated<'train'> {
  const accumulation = file.gradient_accumulation_steps;
  const micro = file.train_micro_batch_size_per_gpu;
  const batchSize = file.train_batch_size ?? (micro !== undefined ? micro * (accumulation ?? 1) : undefined);
  const microBatchSize =
    micro ?? (batchSize !== undefined && accumulation !== undefined ? batchSize / accumulation : undefined);
  return { ...(batchSize !== undefined && { batchSize }), ...(microBatchSize !== undefined && { microBatchSize }) };
}

/** Optimizers by DeepSpeed's name in lower case; its Adam also decouples weight decay by default. */
const optimizers: Readonly<Record<string, 'adamw' | 'lamb'>> = {
  adam: 'adamw',
  adamw: 'adamw',
  lamb: 'lamb',
};

function optimizerSettings({ optimizer }: DeepSpeed, warnings: string[]): Translated<'train'> {
  if (optimizer === undefined) return {};
  const params = optimizer.params ?? {};
  const type = optimizer.type.toLowerCase();
  const known = Object.hasOwn(optimizers, type) ? optimizers[type] : undefined;
  if (known === undefined) {
    warnings.push(
      `DeepSpeed's optimizer.type ${optimizer.type} is not supported: adamw is used; set train.optimizer to use another`,
    );
  }
  if (params.adam_w_mode === false && params.weight_decay !== 0) {
    warnings.push(
      "DeepSpeed's adam_w_mode false adds weight decay to the gradient: taper decouples it, as in AdamW; train.weightDecay sets it",
    );
  }
  return {
    optimizer: known ?? 'adamw',
    ...(params.lr !== undefined && { peakLearningRate: params.lr }),
    ...(params.betas !== undefined && { betas: params.betas }),
    ...(params.eps !== undefined && { epsilon: params.eps }),
    ...(params.weight_decay !== undefined && { weightDecay: params.weight_decay }),
    ...(params.bias_correction !== undefined && { biasCorrection: params.bias_correction }),
  };
}

const schedules: Readonly<Record<string, 'constant' | 'linear' | 'cosine'>> = {
  WarmupLR: 'constant',
  WarmupDecayLR: 'linear',
  WarmupCosineLR: 'cosine',
};
/** The defaults of DeepSpeed's schedulers. */
const [defaultWarmupSteps, defaultDecayPeak] = [1000, 0.001];

/**
 * The schedule with the rates of DeepSpeed's scheduler, except that a linear warm-up is one step early and a cosine decay one step late. Rates start
 * and end at 0 (DeepSpeed's cosine ends at a ten-thousandth of the peak); a warning names any other minimum.
 * Source: DeepSpeed, `deepspeed/runtime/lr_schedules.py`.
 */
function scheduleSettings(
  { optimizer, scheduler }: DeepSpeed,
  automatic: readonly string[],
  warnings: string[],
): Translated<'train'> {
  if (scheduler === undefined) return {};
  const schedule = Object.hasOwn(schedules, scheduler.type) ? schedules[scheduler.type] : undefined;
  if (schedule === undefined) {
    warnings.push(
      `DeepSpeed's scheduler.type ${scheduler.type} is not supported: set train.schedule and train.warmupRatio`,
    );
    return {};
  }
  const params = scheduler.params ?? {};
  const { total_num_steps: steps } = params;
  const orDefault = (key: 'warmup_num_steps' | 'warmup_max_lr', value: number) =>
    params[key] ?? (automatic.includes(`scheduler.params.${key}`) ? undefined : value);

  const warmup = orDefault('warmup_num_steps', defaultWarmupSteps);
  if (warmup !== undefined && steps === undefined) {
    warnings.push(
      `DeepSpeed's warmup_num_steps ${warmup} cannot be converted, because the file has no number of steps: set train.warmupRatio to ${warmup} / train.steps`,
    );
  }
  for (const [key, end] of [
    ['warmup_min_lr', "taper's warm-up starts at 0"],
    ['warmup_min_ratio', "taper's warm-up starts at 0"],
    ['cos_min_ratio', 'set train.finalLearningRate instead'],
  ] as const) {
    if (params[key]) warnings.push(`DeepSpeed's ${key} ${params[key]} is ignored: ${end}`);
  }
  const peak = schedule === 'linear' ? orDefault('warmup_max_lr', defaultDecayPeak) : params.warmup_max_lr;
  const given = optimizer?.params?.lr;
  if (params.warmup_max_lr === undefined && peak !== undefined && given !== undefined && given !== peak) {
    warnings.push(
      `DeepSpeed's WarmupDecayLR without warmup_max_lr peaks at ${peak}, not at optimizer.params.lr ${given}: taper does the same; ` +
        'set train.peakLearningRate to change it',
    );
  }
  return {
    schedule,
    warmupShape: params.warmup_type === 'linear' ? 'linear' : 'log',
    ...(peak !== undefined && { peakLearningRate: peak }),
    ...(steps !== undefined && { steps }),
    ...(steps !== undefined && warmup !== undefined && { warmupRatio: ratioOf(warmup, steps) }),
  };
}

function precisionSettings(
  { bf16, fp16 }: DeepSpeed,
  { automatic, device, warnings }: { automatic: readonly string[]; device: string; warnings: string[] },
): Translated<'train'> {
  if (fp16?.enabled && bf16?.enabled) {
    throw new ConfigError('DeepSpeed config: fp16.enabled and bf16.enabled are both true; enable one of them');
  }
  if (fp16?.enabled && device === 'cpu') {
    warnings.push('DeepSpeed ran in fp16, which taper supports only on GPUs: on the CPU it uses bf16');
    return { precision: 'bf16' };
  }
  if (fp16?.enabled) return { precision: 'fp16' };
  if (bf16?.enabled) return { precision: 'bf16' };
  const isOff = [bf16, fp16].some((section) => section !== undefined);
  const isOpen = automatic.some((path) => path === 'bf16.enabled' || path === 'fp16.enabled');
  return isOff && !isOpen ? { precision: 'fp32' } : {};
}

function depthSettings(
  { enabled, theta, gamma }: NonNullable<DeepSpeed['progressive_layer_drop']>,
  warnings: string[],
): Translated<'depth'> {
  if (!enabled) return { method: 'dense' };
  if (theta === undefined) {
    warnings.push(
      "progressive_layer_drop.theta is missing: DeepSpeed's default is 1.0, which drops nothing; taper's is 0.5",
    );
  }
  // DeepSpeed's default gamma is 0.001.
  return { method: 'pld', gamma: gamma ?? 0.001, ...(theta !== undefined && { thetaBar: theta }) };
}
