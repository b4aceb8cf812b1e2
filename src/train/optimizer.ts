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

/**
 * Updates one float32 parameter in place from its gradient times `gradientScale`. Call it only for parameters that have
 * a gradient: others keep weights, moments and decay untouched.
 *
 * `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`, `m̂ = m/(1−β₁ᵗ)`, `v̂ = v/(1−β₂ᵗ)` (or m and v without bias correction);
 * AdamW (Loshchilov and Hutter 2019): `w ← w − η·(m̂/(√v̂ + ε) + λw)`;
 * LAMB (You et al. 2020): `r = m̂/(√v̂ + ε) + λw`, `w ← w − η·(‖w‖/‖r‖)·r`, with 1 for the ratio when a norm is 0.
 * There is no decay (λ = 0) on biases and norms.
 */
export function updateParameter(
  settings: Settings,
  spec: ParameterSpec,
  parameter: Tensor,
  gradient: Tensor,
  state: ParameterState,
  { learningRate, gradientScale }: { learningRate: number; gradientScale: number },
): void {
  const { epsilon, biasCorrection } = settings;
  const [beta1, beta2] = settings.betas;
  state.updates += 1;
  const weightDecay = spec.start === 'normal' ? settings.weightDecay : 0;
  const correction1 = biasCorrection ? 1 - beta1 ** state.updates : 1;
  const correction2 = biasCorrection ? 1 - beta2 ** state.updates : 1;
  if (settings.optimizer === 'adamw') {
    adamw(parameter, gradient, state.moment, state.variance, {
      learningRate,
      beta1,
      beta2,
      epsilon,
      weightDecay,
      correction1,
      correction2,
      gradientScale,
    });
    return;
  }
  scope(() => {
    const g = gradient.mul(gradientScale);
    state.moment.mul_(beta1).add_(g, 1 - beta1);
    state.variance.mul_(beta2).add_(g.mul(g), 1 - beta2);
    const denominator = state.variance
      .mul(1 / correction2)
      .sqrt()
      .add(epsilon);
    const step = state.moment
      .div(denominator)
      .mul(1 / correction1)
      .add(parameter.detach(), weightDecay);
    const weightNorm = parameter.norm().item();
    const stepNorm = step.norm().item();
    const trustRatio = weightNorm > 0 && stepNorm > 0 ? weightNorm / stepNorm : 1;
    parameter.add_(step, -learningRate * trustRatio);
  });
}

/**
 * Updates every parameter that has a gradient, clipped by `gradientNorm`, the global norm of all of them. Says whether it did:
 * nothing is changed where that norm or the loss is not finite. The gradients are freed.
 */
export function updateParameters(
  settings: Settings & Pick<Config['train'], 'clipNorm'>,
  { specs, masters, optimizer }: { specs: readonly ParameterSpec[]; masters: Weights; optimizer: OptimizerState },
  gradients: ReadonlyMap<string, Tensor>,
  { loss, learningRate, gradientNorm }: { loss: number; learningRate: number; gradientNorm: number },
): boolean {
  const applied = Number.isFinite(loss) && Number.isFinite(gradientNorm);
  if (applied) {
    const { clipNorm } = settings;
    const gradientScale = clipNorm > 0 && gradientNorm > clipNorm ? clipNorm / gradientNorm : 1;
    for (const spec of specs) {
      const gradient = gradients.get(spec.name);
      if (gradient === undefined) continue;
      const numbers = { learningRate, gradientScale };
      updateParameter(settings, spec, masters.get(spec.name)!, gradient, optimizer.get(spec.name)!, numbers);
    }
  }
  for (const gradient of gradients.values()) gradient.free();
  return applied;
}

/** The Euclidean norm of all gradients together: `√(Σ ‖g‖²)`. */
export function globalNorm(gradients: Iterable<Tensor>): number {
  return scope(() => Math.sqrt(Array.from(gradients, (g) => g.norm().item() ** 2).reduce((a, b) => a + b, 0)));
}
