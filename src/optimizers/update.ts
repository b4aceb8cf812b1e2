import { scope, Tensor } from '../tensor/index.ts';
import type { OptimizerSettings, Update } from './optimizer.ts';
import { type OptimizerName, optimizers } from './optimizers.ts';
import type { OptimizerState } from './state.ts';

/** What is to be known of a parameter that is updated. */
export interface Updatable {
  name: string;
  /** Whether weight decay applies to it. */
  decays: boolean;
}

/** What an update reads of the `train` section. */
export interface UpdateSettings extends OptimizerSettings {
  optimizer: OptimizerName;
  /** The gradient's global norm is scaled down to this; 0 for no limit. */
  clipNorm: number;
}

/**
 * Updates every parameter that has a gradient, clipped by `gradientNorm`, the global norm of all of them; the others keep weights,
 * slots and decay untouched. Says whether it did: nothing is changed where that norm or the loss is not finite. The gradients,
 * which are `lossScale` times what they are to be, are freed.
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
    const updates = specs.flatMap(({ name, decays }): Update[] => {
      const gradient = gradients.get(name);
      if (gradient === undefined) return [];
      const state = optimizer.get(name)!;
      state.updates += 1;
      const { slots, updates } = state;
      return [{ parameter: masters.get(name)!, gradient, slots, updates, weightDecay: decays ? weightDecay : 0 }];
    });
    const gradientScale = clipping / lossScale;
    optimizers[settings.optimizer].update(updates, settings, { learningRate, gradientScale });
  }
  for (const gradient of gradients.values()) gradient.free();
  return applied;
}

/** The Euclidean norm of all gradients together: `√(Σ ‖g‖²)`. */
export function globalNorm(gradients: Iterable<Tensor>): number {
  return scope(() => Tensor.globalNorm([...gradients]).item());
}
