import type { ComparedRun, Comparison, Cost, Spread } from './compare.ts';
import { duration, flopsText, rounded } from './format.ts';

/** A table in words; the first row is its head. */
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

/** A comparison as tables for people: what runs came to, losses at equal cost, costs to one loss, and how many times less they are. */
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
      title: 'What each run came to (loss: held-out, in nats; time: of its steps)',
      rows: [['run', 'steps', 'samples', 'FLOPs', 'time', 'loss'], ...runs.map(total)],
    },
    {
      title: 'Loss where all had spent the same',
      rows: [['run', `at ${samples} samples`, `at ${flops}`, `at ${seconds}`], ...runs.map(atEqual)],
    },
    {
      title: `Spent until the loss was ${loss(target)}`,
      rows: [['run', 'samples', 'FLOPs', 'time'], ...runs.map(toLoss)],
    },
    {
      title: `How many times less than ${settings[0]!.runs.map(nameOf).join(', ')} that is`,
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

/** What stands below such tables. */
export const comparisonNote = 'Between evaluations losses are interpolated linearly; nothing is smoothed.';

/** `1.32`, with the least and the most where several pairs of seeds were compared. */
function ratioText({ mean, least, most }: Spread): string {
  return least === most ? mean.toFixed(2) : `${mean.toFixed(2)} (${least.toFixed(2)}–${most.toFixed(2)})`;
}
