import { muon as fused } from '../tensor/index.ts';
import { adamw } from './adamw.ts';
import type { NamedOptimizer } from './optimizer.ts';

/** Newton–Schulz iterations. */
const iterations = 5;

/**
 * Muon (Jordan et al. 2024) for the matrices of the blocks, with a scale that lets it share AdamW's learning rate (Liu et al. 2025,
 * arXiv 2502.16982), and AdamW for everything else; see `muon` in taper-lm/tensor for the formulas.
 */
export const muon: NamedOptimizer = {
  ...adamw,
  title: 'Muon',
  purpose:
    'fewer steps to the same loss: orthogonalised updates for the weight matrices of blocks, `adamw` for the rest',
  matrices: {
    slots: ['momentum'],
    // XXᵀ, its square and their product with X in each iteration; element-wise: scale 1, both momenta 6, norm 3, decay 1, step 2.
    flops: (rows, columns) => {
      const [short, long] = rows < columns ? [rows, columns] : [columns, rows];
      return iterations * (4 * short ** 2 * long + 2 * short ** 3) + 13 * rows * columns;
    },
    update(updates, { momentum, muonScale: scale, precision }, numbers) {
      fused(
        updates.map(({ slots, ...update }) => ({ ...update, momentum: slots.momentum! })),
        { ...numbers, momentum, scale, dtype: precision === 'fp32' ? 'float32' : 'bfloat16' },
      );
    },
  },
};
