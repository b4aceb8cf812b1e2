import type { Checkpoint } from '../checkpoints/index.ts';
import type { TextTokenizer } from '../data/index.ts';
import type { Transformer } from '../model/index.ts';
import type { Device } from '../tensor/index.ts';

/** A model out of a checkpoint, ready to be used. */
export interface TrainedModel {
  checkpoint: Checkpoint;
  tokenizer: TextTokenizer;
  model: Transformer;
  device: Device;
}
