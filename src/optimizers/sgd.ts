import { scope } from '../tensor/index.ts';
import type { NamedOptimizer } from './optimizer.ts';

/**
 * Gradient descent with momentum, and with decoupled weight decay (SGDW, Loshchilov and Hutter 2019):
 * `m ← β₁m + g`, `w ← w − η·(m + λw)`. β₂, ε and the bias correction are ignored.
 */
export const sgd: NamedOptimizer = {
  title: 'SGD with momentum',
  purpose: 'the simplest baseline; its learning rates differ from those of `adamw`',
  slots: ['momentum'],
  operations: 6, // scale 1, momentum 2, decay 1, step 2
  temporaries: 1,
  update(updates, { betas: [beta1] }, { learningRate, gradientScale }) {
    for (const { parameter, gradient, slots, weightDecay } of updates) {
      scope(() => {
        const momentum = slots.momentum!.mul_(beta1).add_(gradient, gradientScale);
        if (weightDecay > 0) parameter.mul_(1 - learningRate * weightDecay);
        parameter.add_(momentum, -learningRate);
      });
    }
  },
};
