import type { Checkpoint } from '../checkpoints/index.ts';
import type { TextTokenizer } from '../data/index.ts';
import type { Transformer } from '../model/index.ts';
import type { Device } from '../tensor/index.ts';

/** A model from a checkpoint, ready to use. */
export interface TrainedModel {
  checkpoint: Checkpoint;
  tokenizer: TextTokenizer;
  model: Transformer;
  device: Device;
}
