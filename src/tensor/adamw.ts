import { native } from './native.ts';
import type { Tensor } from './tensor.ts';

/** What the updates of an AdamW step have in common. */
export interface AdamWNumbers {
  learningRate: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  gradientScale: number;
}

/** One parameter and its AdamW state, all float32 and of one shape; corrections are `1 − βᵗ`, or 1 for none. */
export interface AdamWUpdate {
  parameter: Tensor;
  gradient: Tensor;
  moment: Tensor;
  variance: Tensor;
  weightDecay: number;
  correction1: number;
  correction2: number;
}

/**
 * One AdamW update of each parameter in place, in a single pass over memory (Loshchilov and Hutter 2019, as
 * `torch.optim.AdamW`): `g ← scale·g`, `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`, `w ← w(1 − ηλ) − η·(m/c₁)/(√(v/c₂) + ε)`.
 */
export function adamw(updates: readonly AdamWUpdate[], h: AdamWNumbers): void {
  native().adamw_(
    updates.map(({ parameter }) => parameter.handle),
    updates.map(({ gradient }) => gradient.handle),
    updates.map(({ moment }) => moment.handle),
    updates.map(({ variance }) => variance.handle),
    h.learningRate,
    h.beta1,
    h.beta2,
    h.epsilon,
    updates.map(({ weightDecay }) => weightDecay),
    updates.map(({ correction1 }) => correction1),
    updates.map(({ correction2 }) => correction2),
    h.gradientScale,
  );
}
