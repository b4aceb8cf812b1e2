import { scope } from '../tensor/index.ts';
import { moments, withMoments } from './moments.ts';
import type { NamedOptimizer } from './optimizer.ts';

/**
 * LAMB (You et al. 2020): AdamW's moments, `r = m̂/(√v̂ + ε) + λw`, `w ← w − η·(‖w‖/‖r‖)·r`, where the ratio ‖w‖/‖r‖ is 1 if a norm is 0.
 */
export const lamb: NamedOptimizer = {
  title: 'LAMB',
  purpose: 'for very large batches',
  slots: moments,
  operations: 14, // AdamW's; the two norms are not counted
  temporaries: 5,
  update(updates, settings, { learningRate, gradientScale }) {
    const [beta1, beta2] = settings.betas;
    for (const update of updates) {
      const { parameter, gradient, moment, variance, weightDecay, correction1, correction2 } = withMoments(
        update,
        settings,
      );
      scope(() => {
        const g = gradient.mul(gradientScale);
        moment.mul_(beta1).add_(g, 1 - beta1);
        variance.mul_(beta2).add_(g.mul(g), 1 - beta2);
        const denominator = variance
          .mul(1 / correction2)
          .sqrt()
          .add(settings.epsilon);
        const step = moment
          .div(denominator)
          .mul(1 / correction1)
          .add(parameter.detach(), weightDecay);
        const ratio = parameter.detach().norm().trustRatio(step.norm());
        parameter.add_(step.mul(ratio), -learningRate);
      });
    }
  },
};
