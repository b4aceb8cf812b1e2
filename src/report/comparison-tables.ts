import type { ComparedRun, Comparison, Cost, Spread } from './compare.ts';
import { duration, flopsText, rounded } from './format.ts';

/** A table of text; the first row is the header. */
export interface NamedTable {
  title: string;
  rows: string[][];
}

const loss = (value: number) => value.toFixed(4);
const spent = ({ samples, flops, seconds }: Record<Cost, number>) => [
  rounded(samples),
  flopsText(flops),
  duration(seconds),
];
const never = ['never', 'never', 'never'];

/** A comparison as tables for people: final results, losses at equal cost, costs of reaching the target loss, and speedups. */
export function comparisonTables(
  { equal, loss: target, runs, settings }: Comparison,
  nameOf: (run: string) => string = (run) => run,
): [total: NamedTable, atEqual: NamedTable, toLoss: NamedTable, ratios: NamedTable] {
  const total = ({ name, last }: ComparedRun) => [nameOf(name), String(last.step), ...spent(last), loss(last.loss)];
  const atEqual = ({ name, lossAtEqual: at }: ComparedRun) => [
    nameOf(name),
    ...[at.samples, at.flops, at.seconds].map(loss),
  ];
  const toLoss = ({ name, toLoss: cost }: ComparedRun) => [nameOf(name), ...(cost ? spent(cost) : never)];
  const [samples, flops, seconds] = spent(equal);
  return [
    {
      title: 'Results (held-out loss in nats; time: step time)',
      rows: [['run', 'steps', 'samples', 'FLOPs', 'time', 'loss'], ...runs.map(total)],
    },
    {
      title: 'Held-out loss at equal cost',
      rows: [['run', `at ${samples} samples`, `at ${flops}`, `at ${seconds}`], ...runs.map(atEqual)],
    },
    {
      title: `Cost of reaching held-out loss ${loss(target)}`,
      rows: [['run', 'samples', 'FLOPs', 'time'], ...runs.map(toLoss)],
    },
    {
      title: `Speedup over ${settings[0]!.runs.map(nameOf).join(', ')} (its cost divided by the cost of each setting)`,
      rows: [
        ['setting', 'runs', 'samples', 'FLOPs', 'time'],
        ...settings.map(({ runs: names, speedup }) => [
          nameOf(names[0]!),
          String(names.length),
          ...(speedup ? [speedup.samples, speedup.flops, speedup.seconds].map(ratioText) : never),
        ]),
      ],
    },
  ];
}

/** The note below these tables. */
export const comparisonNote = 'Losses are interpolated linearly between evaluations and not smoothed.';

/** `1.32`, with the minimum and maximum if several pairs of seeds were compared. */
function ratioText({ mean, least, most }: Spread): string {
  return least === most ? mean.toFixed(2) : `${mean.toFixed(2)} (${least.toFixed(2)}–${most.toFixed(2)})`;
}
