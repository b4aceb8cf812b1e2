import { broadcastTogether } from '../distributed/index.ts';
import type { ParameterSpec } from '../model/index.ts';
import { type OptimizerState, type ParameterState, slotTensors, zeroState } from '../optimizers/index.ts';
import type { Owners } from './owners.ts';
import type { TrainingState } from './state.ts';

// ZeRO-1 (Rajbhandari et al. 2020, arXiv 1910.02054): the optimizer state is sharded across the ranks. A rank that owns a part
// of the model gets the sum of its gradients, updates it, and sends it to the others.

/** After an update, each rank sends the parts that it updated to the others. */
export function shareUpdates(
  { masters, owners, group }: Pick<TrainingState, 'masters' | 'owners' | 'group'>,
  parts: readonly (readonly ParameterSpec[])[],
): void {
  if (owners === undefined) return;
  const sent = parts.map((specs) => {
    const tensors = specs.map(({ name }) => masters.get(name)!);
    return broadcastTogether(group, tensors, owners.get(specs[0]!.name)!);
  });
  for (const pending of sent) pending.wait();
}

/**
 * The whole optimizer state, for a checkpoint: every rank takes part, and `use` is called with it on rank 0. Until it returns,
 * rank 0 also holds the state of the others.
 */
export function withWholeOptimizer(state: TrainingState, use: (whole: OptimizerState) => void): void {
  const { specs, parts, optimizer, owners, group } = state;
  if (owners === undefined) {
    if (group.rank === 0) use(optimizer);
    return;
  }
  const received: OptimizerState = new Map();
  for (const part of [...parts.blocks, parts.outer]) {
    for (const [name, other] of othersOf(state, part, owners)) {
      if (group.rank === 0) received.set(name, other);
      else free([other]);
    }
  }
  if (group.rank !== 0) return;
  // In the order of the parameters, as without sharding.
  use(new Map(specs.map(({ name }) => [name, (optimizer.get(name) ?? received.get(name))!])));
  free(received.values());
}

/** The optimizer state of one part of the model, on every rank while `use` lasts: all of them take part. */
export function withPartOfOptimizer(
  state: TrainingState,
  part: readonly ParameterSpec[],
  use: (states: OptimizerState) => void,
): void {
  const { optimizer, owners } = state;
  const others: OptimizerState = owners ? othersOf(state, part, owners) : new Map();
  use(new Map(part.map(({ name }) => [name, (optimizer.get(name) ?? others.get(name))!])));
  free(others.values());
}

/** Copies of a part's optimizer state, from the rank that owns it, on the other ranks; they belong to the caller. */
function othersOf(
  { optimizer, group, config: { train } }: TrainingState,
  part: readonly ParameterSpec[],
  owners: Owners,
): OptimizerState {
  const counts = group.sum(part.map(({ name }) => optimizer.get(name)?.updates ?? 0));
  const states = part.map(
    (spec, i) =>
      optimizer.get(spec.name) ?? zeroState(train.optimizer, spec, { updates: counts[i]!, device: train.device }),
  );
  broadcastTogether(group, slotTensors(states), owners.get(part[0]!.name)!).wait();
  const named = part.map(({ name }, i) => [name, states[i]!] as const);
  return new Map(named.filter(([name]) => !optimizer.has(name)));
}

/**
 * Distributes what rank 0 read from a checkpoint: fills the weights of all other ranks, and gives each rank the optimizer state
 * that it owns. `updates` is the number of updates of each parameter; without it there is no optimizer state yet.
 */
export function distribute(
  {
    parts,
    masters,
    owners,
    group,
    config: { train },
  }: Pick<TrainingState, 'parts' | 'masters' | 'owners' | 'group' | 'config'>,
  {
    optimizer,
    updates,
  }: { optimizer: OptimizerState | undefined; updates: Readonly<Record<string, number>> | undefined },
): OptimizerState | undefined {
  const own: OptimizerState = new Map();
  for (const part of [...parts.blocks, parts.outer]) {
    const weights = part.map(({ name }) => masters.get(name)!);
    broadcastTogether(group, weights, 0).wait();
    if (updates === undefined) continue;
    const states = part.map(
      (spec) =>
        optimizer?.get(spec.name) ??
        zeroState(train.optimizer, spec, { updates: updates[spec.name]!, device: train.device }),
    );
    broadcastTogether(group, slotTensors(states), 0).wait();
    for (const [i, { name }] of part.entries()) {
      if ((owners?.get(name) ?? group.rank) === group.rank) own.set(name, states[i]!);
      else free([states[i]!]);
    }
  }
  // In the order of the parameters, which is that of checkpoints.
  const names = [...masters.keys()].filter((name) => own.has(name));
  return updates && new Map(names.map((name) => [name, own.get(name)!]));
}

function free(states: Iterable<ParameterState>): void {
  for (const tensor of slotTensors(states)) tensor.free();
}
