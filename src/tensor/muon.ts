import { native } from './native.ts';
import type { Dtype, Tensor } from './tensor.ts';

/** What the updates of a Muon step have in common. */
export interface MuonNumbers {
  learningRate: number;
  /** β */
  momentum: number;
  /** s */
  scale: number;
  gradientScale: number;
  /** The precision of the orthogonalising products: float32 or bfloat16. */
  dtype: Dtype;
}

/** One parameter, which is `matrices` stacked matrices of one size, with its momentum: all float32 and of one shape [R, C]. */
export interface MuonUpdate {
  parameter: Tensor;
  gradient: Tensor;
  momentum: Tensor;
  matrices: number;
  weightDecay: number;
}

/**
 * One Muon update of each parameter in place (Jordan et al. 2024, as `torch.optim.Muon` with `nesterov`; with s = 0.2, Liu et al.'s of
 * arXiv 2502.16982, its `match_rms_adamw`), for each matrix [r, c] of it: `g ← scale·g`, `m ← βm + (1−β)g`, `u = βm + (1−β)g`,
 * `w ← w(1 − ηλ) − η·s·√max(r, c)·O(u)`. O(u) is about U·Vᵀ of `u = U·S·Vᵀ`: from `X = u/‖u‖` on, five times
 * `X ← aX + (bXXᵀ + c(XXᵀ)²)X` with (a, b, c) = (3.4445, −4.775, 2.0315).
 */
export function muon(updates: readonly MuonUpdate[], h: MuonNumbers): void {
  native().muon_(
    updates.map(({ parameter }) => parameter.handle),
    updates.map(({ gradient }) => gradient.handle),
    updates.map(({ momentum }) => momentum.handle),
    updates.map(({ matrices }) => matrices),
    h.learningRate,
    h.momentum,
    h.scale,
    updates.map(({ weightDecay }) => weightDecay),
    h.gradientScale,
    h.dtype,
  );
}
