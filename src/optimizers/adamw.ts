import { adamw as fused } from '../tensor/index.ts';
import { moments, withMoments } from './moments.ts';
import type { NamedOptimizer } from './optimizer.ts';

/**
 * AdamW (Loshchilov and Hutter 2019): `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`, `m̂ = m/(1−β₁ᵗ)`, `v̂ = v/(1−β₂ᵗ)` (or m and v
 * without bias correction), `w ← w − η·(m̂/(√v̂ + ε) + λw)`.
 */
export const adamw: NamedOptimizer = {
  title: 'AdamW',
  purpose: 'the standard choice for Transformers',
  slots: moments,
  operations: 14, // first moment 3, second moment 4, root, bias and ε 3, step 3, decay 1
  temporaries: 0,
  update(updates, settings, numbers) {
    const [beta1, beta2] = settings.betas;
    const { epsilon } = settings;
    fused(
      updates.map((update) => withMoments(update, settings)),
      { ...numbers, beta1, beta2, epsilon },
    );
  },
};
