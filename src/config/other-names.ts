import { settings } from './settings.ts';

/** A setting of taper with its names in other programs. */
interface OtherNames {
  /** taper's name: `section.key`, or a command-line option. */
  ours: string;
  /** A note on a different unit or form of the value. */
  note?: string;
  /** The names in Hugging Face's Trainer and models, DeepSpeed, nanoGPT and PyTorch Lightning. */
  theirs: string;
}

/** The names of taper's settings in other programs. Case, `_` and `-` are ignored. */
export const otherNames: readonly OtherNames[] = [
  { ours: 'model.preset', theirs: 'model_name model_size config_name' },
  { ours: 'model.kind', note: 'modernbert, llama, bert or gpt2', theirs: 'model_type architectures' },
  { ours: 'model.layers', theirs: 'num_hidden_layers num_layers n_layer n_layers' },
  { ours: 'model.hiddenSize', theirs: 'n_embd d_model embed_dim embedding_size hidden_dim dim' },
  { ours: 'model.heads', theirs: 'num_attention_heads num_heads n_head n_heads' },
  { ours: 'model.ffnSize', theirs: 'intermediate_size ffn_dim dim_feedforward d_ff n_inner' },
  { ours: 'model.maxPositions', theirs: 'max_position_embeddings n_positions n_ctx' },
  { ours: 'model.activation', theirs: 'hidden_act activation_function' },
  { ours: 'model.layerNormEpsilon', theirs: 'layer_norm_eps ln_eps' },
  { ours: 'model.embeddingStd', note: 'for the embeddings only', theirs: 'initializer_range init_std' },
  { ours: 'model.dropout', theirs: 'hidden_dropout_prob hidden_dropout resid_pdrop embd_pdrop' },
  { ours: 'model.attentionDropout', theirs: 'attention_probs_dropout_prob attn_pdrop' },

  { ours: 'depth.method', note: 'pld, with depth.thetaBar and depth.gamma', theirs: 'progressive_layer_drop' },
  {
    ours: 'depth.method',
    note: 'layerdrop, with depth.thetaBar as the keep rate',
    theirs: 'layerdrop encoder_layerdrop',
  },
  { ours: 'depth.thetaBar', theirs: 'theta' },

  { ours: 'data.train', theirs: 'train_file train_files train_data dataset dataset_name data_dir data_path' },
  { ours: 'data.valid', theirs: 'validation_file valid_file eval_file val_data' },
  { ours: 'data.validFraction', note: 'a fraction: 0.05 is 5 %', theirs: 'validation_split_percentage val_split' },
  { ours: 'data.textField', theirs: 'text_column text_column_name dataset_text_field' },
  { ours: 'data.tokenizer', theirs: 'tokenizer_name tokenizer_file tokenizer_path' },
  { ours: 'data.lowercase', theirs: 'do_lower_case' },
  {
    ours: 'data.sequenceLength',
    theirs: 'max_seq_length max_seq_len max_length max_len seq_length seq_len block_size context_length line_length',
  },
  { ours: 'data.maskRate', theirs: 'mlm_probability masked_lm_prob mask_prob' },
  { ours: 'data.wholeWord', theirs: 'whole_word_mask wwm' },

  { ours: 'train.steps', theirs: 'max_steps max_iters num_train_steps total_steps total_num_steps num_steps' },
  { ours: 'train.steps', note: 'the decay ends there too', theirs: 'lr_decay_iters decay_steps' },
  { ours: 'train.epochs', theirs: 'num_train_epochs num_epochs n_epochs max_epochs epoch' },
  { ours: 'train.batchSize', theirs: 'train_batch_size global_batch_size' },
  {
    ours: 'train.batchSize',
    note: 'sequences per optimizer step: batch per device × gradient accumulation × devices',
    theirs: 'per_device_train_batch_size per_gpu_train_batch_size bs',
  },
  {
    ours: 'train.microBatchSize',
    note: 'over all processes',
    theirs: 'train_micro_batch_size_per_gpu micro_batch per_device_batch_size',
  },
  {
    ours: 'train.microBatchSize',
    note: 'train.batchSize / accumulation steps',
    theirs: 'gradient_accumulation_steps accumulate_grad_batches grad_accum_steps accumulation_steps',
  },
  { ours: 'train.optimizer', note: 'adamw, muon, lamb or sgd', theirs: 'optim optimizer_type optimizer_name' },
  { ours: 'train.betas', note: 'as in [0.9, 0.999]', theirs: 'adam_beta1 adam_beta2 beta1 beta2 adam_betas' },
  { ours: 'train.momentum', theirs: 'muon_momentum muon_beta' },
  { ours: 'train.epsilon', theirs: 'adam_epsilon adam_eps eps' },
  { ours: 'train.weightDecay', theirs: 'wd decay' },
  {
    ours: 'train.clipNorm',
    theirs: 'max_grad_norm grad_clip gradient_clipping gradient_clip_val clip_grad_norm clip_grad',
  },
  { ours: 'train.peakLearningRate', theirs: 'lr learning_rate max_lr peak_lr base_lr warmup_max_lr' },
  { ours: 'train.finalLearningRate', theirs: 'min_lr lr_min cos_min_ratio end_lr final_lr' },
  {
    ours: 'train.schedule',
    theirs: 'lr_scheduler_type lr_scheduler scheduler lr_schedule scheduler_type decay_lr lr_decay_style',
  },
  {
    ours: 'train.warmupRatio',
    note: 'warm-up steps / train.steps',
    theirs: 'warmup_steps num_warmup_steps warmup_iters warmup_num_steps lr_warmup_steps warmup',
  },
  { ours: 'train.warmupRatio', theirs: 'warmup_proportion warmup_fraction lr_warmup_fraction' },
  { ours: 'train.warmupShape', theirs: 'warmup_type' },
  { ours: 'train.precision', note: 'bf16', theirs: 'bf16 bfloat16' },
  { ours: 'train.precision', note: 'fp16', theirs: 'fp16 float16 amp' },
  { ours: 'train.precision', note: 'fp32, bf16 or fp16', theirs: 'dtype torch_dtype mixed_precision' },
  { ours: 'train.seed', theirs: 'random_seed manual_seed data_seed' },
  { ours: 'train.from', theirs: 'model_name_or_path init_from init_checkpoint pretrained_model_name_or_path' },
  { ours: 'train.evalEvery', theirs: 'eval_steps eval_interval evaluation_strategy eval_strategy val_check_interval' },
  { ours: 'train.evalSamples', note: 'held-out sequences', theirs: 'eval_iters max_eval_samples limit_val_batches' },
  { ours: 'train.saveEvery', theirs: 'save_steps save_interval save_strategy checkpoint_interval' },
  { ours: 'train.keepCheckpoints', theirs: 'save_total_limit max_checkpoints keep_last_n' },
  { ours: 'train.shardOptimizer', theirs: 'zero_optimization zero_stage fsdp sharded_ddp' },
  { ours: 'train.peerTimeout', theirs: 'ddp_timeout' },
  { ours: 'train.device', theirs: 'no_cuda use_cpu accelerator' },
  { ours: 'train.threads', theirs: 'num_threads cpu_threads num_workers' },

  { ours: '--out', theirs: 'output_dir out_dir save_dir run_name logging_dir' },
  { ours: '--resume', theirs: 'resume_from_checkpoint resume' },
];

/** A name in lower case, without `_` and `-`. */
export const letters = (name: string) => name.toLowerCase().replace(/[_-]/g, '');

const theirs = new Map(
  otherNames.flatMap((names) => names.theirs.split(' ').map((name): [string, OtherNames] => [letters(name), names])),
);
const own = new Map(settings.map(({ path, key }) => [letters(key), path]));

/** taper's name for a setting: `train.warmupRatio (warm-up steps / train.steps)`; undefined for an unknown name. */
export function taperName(name: string): string | undefined {
  const path = own.get(letters(name));
  if (path !== undefined) return path;
  const found = theirs.get(letters(name));
  return found && (found.note === undefined ? found.ours : `${found.ours} (${found.note})`);
}
