import { z } from 'zod';
import { ConfigError } from './errors.ts';
import type { PartialConfig } from './schema.ts';

/** What a DeepSpeed config says in taper's words. */
export interface FromDeepSpeed {
  config: PartialConfig;
  /** What could not be taken over, or not as it stood. */
  warnings: string[];
}

const optimizerParams = z.looseObject({
  lr: z.number().optional(),
  betas: z.tuple([z.number(), z.number()]).optional(),
  eps: z.number().optional(),
  weight_decay: z.number().optional(),
  bias_correction: z.boolean().optional(),
});
const optimizer = z.looseObject({ type: z.string(), params: optimizerParams.optional() });
const schedulerParams = z.looseObject({
  warmup_max_lr: z.number().optional(),
  warmup_num_steps: z.number().optional(),
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
 * Translates a DeepSpeed JSON config: batch sizes, Adam, AdamW or LAMB, WarmupLR or WarmupDecayLR, clipping, precision
 * and `progressive_layer_drop`. The profile along the depth is not in that file, so taper's default stays.
 * A key that taper does not use, and one that is "auto", is named in a warning. `train_batch_size` is the batch of all
 * GPUs together, as taper's `batchSize` is.
 * Throws a ConfigError for a value of the wrong type.
 */
export function fromDeepSpeed(json: unknown): FromDeepSpeed {
  const warnings: string[] = [];
  const automatic: string[] = [];
  const parsed = deepSpeedSchema.safeParse(withoutAutomatic(json, '', automatic));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new ConfigError(`DeepSpeed config: ${issue?.path.join('.') || 'the file'}: ${issue?.message}`);
  }
  const file = parsed.data;
  if (automatic.length > 0)
    warnings.push(`DeepSpeed keys that are "auto" keep taper's defaults: ${automatic.join(', ')}`);
  const unused = unusedKeys(file);
  if (unused.length > 0) warnings.push(`DeepSpeed keys that taper does not use: ${unused.join(', ')}`);

  const train = {
    ...batchSizes(file),
    ...optimizerSettings(file, warnings),
    ...scheduleSettings(file, warnings),
    ...(file.gradient_clipping !== undefined && { clipNorm: file.gradient_clipping }),
    ...precisionSettings(file, warnings),
  };
  const config = {
    train,
    ...(file.progressive_layer_drop && { depth: depthSettings(file.progressive_layer_drop, warnings) }),
  };
  return { config, warnings };
}

/** The same JSON without the keys whose value is "auto" (Hugging Face's Trainer fills those in); their paths go to `found`. */
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

/** Two of the three numbers give the third, for one GPU. */
function batchSizes(file: DeepSpeed): Translated<'train'> {
  const accumulation = file.gradient_accumulation_steps;
  const micro = file.train_micro_batch_size_per_gpu;
  const batchSize = file.train_batch_size ?? (micro !== undefined ? micro * (accumulation ?? 1) : undefined);
  const microBatchSize =
    micro ?? (batchSize !== undefined && accumulation !== undefined ? batchSize / accumulation : undefined);
  return { ...(batchSize !== undefined && { batchSize }), ...(microBatchSize !== undefined && { microBatchSize }) };
}

function optimizerSettings({ optimizer }: DeepSpeed, warnings: string[]): Translated<'train'> {
  if (optimizer === undefined) return {};
  const params = optimizer.params ?? {};
  const type = optimizer.type.toLowerCase();
  if (!['adam', 'adamw', 'lamb'].includes(type)) {
    warnings.push(`DeepSpeed's optimizer.type ${optimizer.type} is not in taper: adamw is used`);
  }
  return {
    optimizer: type === 'lamb' ? 'lamb' : 'adamw', // DeepSpeed's Adam decouples the decay too, unless told not to
    ...(params.lr !== undefined && { peakLearningRate: params.lr }),
    ...(params.betas !== undefined && { betas: params.betas }),
    ...(params.eps !== undefined && { epsilon: params.eps }),
    ...(params.weight_decay !== undefined && { weightDecay: params.weight_decay }),
    ...(params.bias_correction !== undefined && { biasCorrection: params.bias_correction }),
  };
}

function scheduleSettings({ scheduler }: DeepSpeed, warnings: string[]): Translated<'train'> {
  if (scheduler === undefined) return {};
  const { warmup_max_lr: peak, warmup_num_steps: warmup, total_num_steps: steps } = scheduler.params ?? {};
  const schedules: Record<string, 'constant' | 'linear'> = { WarmupLR: 'constant', WarmupDecayLR: 'linear' };
  const schedule = schedules[scheduler.type];
  if (schedule === undefined) {
    warnings.push(
      `DeepSpeed's scheduler.type ${scheduler.type} is not taken over: set train.schedule and train.warmupRatio`,
    );
    return {};
  }
  if (warmup !== undefined && steps === undefined) {
    warnings.push(
      `DeepSpeed's warmup_num_steps ${warmup} needs the number of steps: set train.warmupRatio to ${warmup} / train.steps`,
    );
  }
  return {
    schedule,
    ...(peak !== undefined && { peakLearningRate: peak }),
    ...(steps !== undefined && { steps }),
    ...(steps !== undefined && warmup !== undefined && { warmupRatio: warmup / steps }),
  };
}

function precisionSettings({ bf16, fp16 }: DeepSpeed, warnings: string[]): Translated<'train'> {
  if (fp16?.enabled) warnings.push('DeepSpeed ran in fp16: taper uses bf16, which needs no loss scale');
  if (fp16?.enabled || bf16?.enabled) return { precision: 'bf16' };
  return bf16 !== undefined || fp16 !== undefined ? { precision: 'fp32' } : {};
}

function depthSettings(
  { enabled, theta, gamma }: NonNullable<DeepSpeed['progressive_layer_drop']>,
  warnings: string[],
): Translated<'depth'> {
  if (!enabled) return { method: 'dense' };
  if (theta === undefined) {
    warnings.push('progressive_layer_drop.theta is missing: DeepSpeed took 1.0, which drops nothing; taper takes 0.5');
  }
  // A gamma that is not given was 0.001 there.
  return { method: 'pld', gamma: gamma ?? 0.001, ...(theta !== undefined && { thetaBar: theta }) };
}
