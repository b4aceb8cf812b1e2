import type { Tensor } from '../tensor/index.ts';
import { type ModelInputs, Transformer } from './transformer.ts';

/** GPT-2: causal attention in PreLN blocks (Radford et al. 2019), with Hugging Face's names of `gpt2`. */
export class Gpt extends Transformer {
  protected embed({ inputIds }: ModelInputs): Tensor {
    return this.wordEmbeddings().embedding(inputIds).add(this.positionEmbeddings(inputIds.shape[1]!));
  }

  protected beforeOutput(hidden_MD: Tensor): Tensor {
    return hidden_MD.to(this.dtype);
  }

  protected outputBias(): undefined {
    return undefined;
  }
}
