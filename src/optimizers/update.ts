import { scope, Tensor } from '../tensor/index.ts';
import type { MatrixUpdate, NamedOptimizer, OptimizerSettings, Updatable, Update } from './optimizer.ts';
import { type OptimizerName, optimizers } from './optimizers.ts';
import type { OptimizerState } from './state.ts';

/** The keys of the `train` section that an update reads. */
export interface UpdateSettings extends OptimizerSettings {
  optimizer: OptimizerName;
  /** The largest global norm of the gradient; larger gradients are scaled down to it. 0 means no limit. */
  clipNorm: number;
}

/**
 * Updates every parameter that has a gradient, clipped by `gradientNorm`, the global norm of all gradients; other parameters keep
 * their weights and slots, without decay. Returns whether it updated them: if that norm or the loss is not finite, nothing changes.
 * The gradients hold `lossScale` times their true values; they are freed.
 */
export function updateParameters(
  settings: UpdateSettings,
  {
    specs,
    masters,
    optimizer,
  }: { specs: readonly Updatable[]; masters: ReadonlyMap<string, Tensor>; optimizer: OptimizerState },
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
    const { clipNorm, weightDecay } = settings;
    const clipping = clipNorm > 0 && gradientNorm > clipNorm ? clipNorm / gradientNorm : 1;
    const { update, matrices: ofMatrices }: NamedOptimizer = optimizers[settings.optimizer];
    const updates: Update[] = [];
    const matrixUpdates: MatrixUpdate[] = [];
    for (const { name, decays, matrices } of specs) {
      const gradient = gradients.get(name);
      if (gradient === undefined) continue;
      const state = optimizer.get(name)!;
      state.updates += 1;
      const one = { parameter: masters.get(name)!, gradient, ...state, weightDecay: decays ? weightDecay : 0 };
      if (ofMatrices && matrices) matrixUpdates.push({ ...one, matrices });
      else updates.push(one);
    }
    const numbers = { learningRate, gradientScale: clipping / lossScale };
    update(updates, settings, numbers);
    ofMatrices?.update(matrixUpdates, settings, numbers);
  }
  for (const gradient of gradients.values()) gradient.free();
  return applied;
}

/** The Euclidean norm of all gradients together: `√(Σ ‖g‖²)`. */
export function globalNorm(gradients: Iterable<Tensor>): number {
  return scope(() => Tensor.globalNorm([...gradients]).item());
}
