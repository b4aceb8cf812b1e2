import { eachPart, flatZeros, type Pending, type ProcessGroup } from '../distributed/index.ts';
import type { ParameterSpec } from '../model/index.ts';
import { type Device, keep, type Tensor } from '../tensor/index.ts';

/** The gradients of some parameters being sent, concatenated. */
interface Bucket {
  specs: readonly ParameterSpec[];
  flat: Tensor;
  /** Whether this rank gets the sum. */
  isMine: boolean;
  pending: Pending;
}

/**
 * The gradients of one optimizer step, summed over its micro-batches and over the ranks, one bucket of parameters at a time,
 * while the backward pass continues. A single process sends and copies nothing.
 */
export class GradientSums implements Disposable {
  readonly #group: ProcessGroup;
  readonly #device: Device;
  readonly #sums = new Map<string, Tensor>();
  readonly #buckets: Bucket[] = [];

  constructor(group: ProcessGroup, device: Device) {
    this.#group = group;
    this.#device = device;
  }

  /** Adds one micro-batch's gradients of some parameters; a parameter without a gradient keeps its sum. */
  add(specs: readonly ParameterSpec[], gradients: readonly (Tensor | undefined)[]): void {
    gradients.forEach((gradient, i) => {
      if (gradient === undefined) return;
      const { name } = specs[i]!;
      const sum = this.#sums.get(name);
      if (sum) sum.add_(gradient);
      else this.#sums.set(name, keep(gradient));
    });
  }

  /** Whether a parameter has a gradient that was not sent. */
  has({ name }: ParameterSpec): boolean {
    return this.#sums.has(name);
  }

  /**
   * Starts to sum the gradients of some parameters over all ranks, on rank `owner` only if given; nothing may be added to them
   * afterwards. Every rank sends the same parameters in the same order, zeros for those without a gradient.
   */
  send(specs: readonly ParameterSpec[], owner?: number): void {
    const group = this.#group;
    if (group.size === 1) return;
    const flat = keep(
      flatZeros(
        specs.map(({ shape }) => shape),
        this.#device,
      ),
    );
    eachPart(flat, specs, (part, { name }) => {
      const gradient = this.#sums.get(name);
      if (gradient === undefined) return;
      part.copy_(gradient);
      gradient.free();
      this.#sums.delete(name);
    });
    const isMine = owner === undefined || owner === group.rank;
    const pending = owner === undefined ? group.allReduce(flat) : group.reduce(flat, owner);
    this.#buckets.push({ specs, flat, isMine, pending });
  }

  /** Waits for what was sent. The sums of the parameters that this rank updates belong to the caller. */
  finish(): ReadonlyMap<string, Tensor> {
    for (const { specs, flat, isMine, pending } of this.#buckets) {
      pending.wait();
      if (isMine) eachPart(flat, specs, (part, { name }) => this.#sums.set(name, keep(part)));
      flat.free();
    }
    this.#buckets.length = 0;
    return this.#sums;
  }

  /** Frees what an error left behind. */
  [Symbol.dispose](): void {
    for (const { flat } of this.#buckets) flat.free();
    for (const sum of this.#sums.values()) sum.free();
  }
}
