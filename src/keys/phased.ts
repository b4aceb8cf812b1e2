import { z } from 'zod';

/** A value for the whole run, or [step, value] pairs: each value applies from its step on; steps ascend from 0. */
export const phased = <T extends z.ZodType>(schema: T) =>
  z.union([
    schema,
    z
      .array(z.tuple([z.int().min(0), schema]))
      .min(1)
      .refine(ascends),
  ]);

function ascends(pairs: readonly (readonly unknown[])[]): boolean {
  const steps = pairs.map(([step]) => step as number);
  return steps.every((step, i) => (i === 0 ? step === 0 : step > steps[i - 1]!));
}
