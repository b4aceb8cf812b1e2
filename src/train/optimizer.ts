import type { Config } from '../config/index.ts';
import type { ParameterSpec, Weights } from '../model/index.ts';
import { adamw, type Device, scope, Tensor } from '../tensor/index.ts';

/** What an optimizer remembers of one parameter. */
export interface ParameterState {
  /** The running mean of the gradient, m. */
  moment: Tensor;
  /** The running mean of its square, v. */
  variance: Tensor;
  /** How often the parameter was updated: t of the bias correction. Blocks that are skipped fall behind. */
  updates: number;
}

/** The state of every parameter, by name. */
export type OptimizerState = Map<string, ParameterState>;

type Settings = Pick<Config['train'], 'optimizer' | 'biasCorrection' | 'betas' | 'epsilon' | 'weightDecay'>;

/** Moments of zero. */
export function zeroState({ shape }: Pick<ParameterSpec, 'shape'>, updates: number, device: Device): ParameterState {
  const zeros = () => Tensor.zeros(shape, { device });
  return { moment: zeros(), variance: zeros(), updates };
}

/** Fresh state: zero moments like the parameters. */
export function initialState(parameters: ReadonlyMap<string, Tensor>): OptimizerState {
  return new Map(Array.from(parameters, ([name, parameter]) => [name, zeroState(parameter, 0, parameter.device)]));
}

/** A parameter that has a gradient. */
export interface Update {
  spec: ParameterSpec;
  parameter: Tensor;
  gradient: Tensor;
  state: ParameterState;
}

/**
 * Updates float32 parameters in place from their gradients times `gradientScale`. Parameters without a gradient are not among
 * them: they keep weights, moments and decay untouched.
 *
 * `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`, `m̂ = m/(1−β₁ᵗ)`, `v̂ = v/(1−β₂ᵗ)` (or m and v without bias correction);
 * AdamW (Loshchilov and Hutter 2019): `w ← w − η·(m̂/(√v̂ + ε) + λw)`;
 * LAMB (You et al. 2020): `r = m̂/(√v̂ + ε) + λw`, `w ← w − η·(‖w‖/‖r‖)·r`, with 1 for the ratio when a norm is 0.
 * There is no decay (λ = 0) on biases and norms.
 */
export function update(
  settings: Settings,
  updates: readonly Update[],
  { learningRate, gradientScale }: { learningRate: number; gradientScale: number },
): void {
  const { epsilon, biasCorrection } = settings;
  const [beta1, beta2] = settings.betas;
  const numbered = updates.map(({ spec, parameter, gradient, state }) => {
    state.updates += 1;
    return {
      parameter,
      gradient,
      ...state,
      weightDecay: spec.start === 'normal' ? settings.weightDecay : 0,
      correction1: biasCorrection ? 1 - beta1 ** state.updates : 1,
      correction2: biasCorrection ? 1 - beta2 ** state.updates : 1,
    };
  });
  if (settings.optimizer === 'adamw') {
    adamw(numbered, { learningRate, beta1, beta2, epsilon, gradientScale });
    return;
  }
  for (const { parameter, gradient, moment, variance, weightDecay, correction1, correction2 } of numbered) {
    scope(() => {
      const g = gradient.mul(gradientScale);
      moment.mul_(beta1).add_(g, 1 - beta1);
      variance.mul_(beta2).add_(g.mul(g), 1 - beta2);
      const denominator = variance
        .mul(1 / correction2)
        .sqrt()
        .add(epsilon);
      const step = moment
        .div(denominator)
        .mul(1 / correction1)
        .add(parameter.detach(), weightDecay);
      const ratio = parameter.detach().norm().trustRatio(step.norm());
      parameter.add_(step.mul(ratio), -learningRate);
    });
  }
}

/**
 * Updates every parameter that has a gradient, clipped by `gradientNorm`, the global norm of all of them. Says whether it did:
 * nothing is changed where that norm or the loss is not finite. The gradients, which are `lossScale` times what they are to be,
 * are freed.
 */
export function updateParameters(
  settings: Settings & Pick<Config['train'], 'clipNorm'>,
  { specs, masters, optimizer }: { specs: readonly ParameterSpec[]; masters: Weights; optimizer: OptimizerState },
  gradients: ReadonlyMap<string, Tensor>,
  {
    loss,
    learningRate,
    gradientNorm,
    lossScale = 1,
  }: { loss: number; learningRate: number; gradientNorm: number; lossScale?: number },
): boolean {
  const applied = Number.isFinite(loss) && Number.isFinite(gradientNorm);
  if (applied) {
    const { clipNorm } = settings;
    const clipping = clipNorm > 0 && gradientNorm > clipNorm ? clipNorm / gradientNorm : 1;
    const updates = specs.flatMap((spec): Update[] => {
      const gradient = gradients.get(spec.name);
      if (gradient === undefined) return [];
      return [{ spec, parameter: masters.get(spec.name)!, gradient, state: optimizer.get(spec.name)! }];
    });
    update(settings, updates, { learningRate, gradientScale: clipping / lossScale });
  }
  for (const gradient of gradients.values()) gradient.free();
  return applied;
}

/** The Euclidean norm of all gradients together: `√(Σ ‖g‖²)`. */
export function globalNorm(gradients: Iterable<Tensor>): number {
  return scope(() => Tensor.globalNorm([...gradients]).item());
}
