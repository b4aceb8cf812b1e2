import type { UpdateSettings } from './index.ts';

/** Settings of an update in tests: AdamW's and Muon's, without clipping. */
export const settings: UpdateSettings = {
  optimizer: 'adamw',
  biasCorrection: true,
  betas: [0.9, 0.99],
  epsilon: 1e-6,
  momentum: 0.95,
  muonScale: 0.2,
  precision: 'fp32',
  weightDecay: 0.1,
  clipNorm: 0,
};
