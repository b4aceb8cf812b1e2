// npm run test:faults [-- words…]
//   causes every fault (whose name has one of the words) as often as it says; all of them write docs/results/faults.md
import { medianText, table, writeResults } from '../../bench/report.ts';
import { faults, type Outcome } from './faults.ts';
import { fuzz, kinds } from './fuzzing.ts';
import { peerTimeout, saveEvery, steps, World } from './world.ts';

const words = process.argv.slice(2);
const chosen = faults.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
const rows: string[][] = [];
let numFailed = 0;

for (const { name, times, obstacle, cause } of chosen) {
  const why = obstacle?.();
  if (why !== undefined) {
    rows.push([name, '0', `not tried: ${why}`, '', '']);
    console.log(`skipped ${name}: ${why}`);
    continue;
  }
  using world = new World();
  const outcomes: Outcome[] = [];
  for (let i = 0; i < times; i++) {
    try {
      outcomes.push(await cause(world));
    } catch (error) {
      numFailed += 1;
      console.error(`FAILED  ${name}\n`, error);
    }
  }
  const seconds = outcomes.flatMap((outcome) => outcome.seconds ?? []);
  const repeated = outcomes.flatMap((outcome) => outcome.repeated ?? []);
  const failed = times - outcomes.length;
  rows.push([
    name,
    String(times),
    [...new Set(outcomes.map(({ outcome }) => outcome)), ...(failed > 0 ? [`FAILED ${failed} times`] : [])].join('; '),
    seconds.length > 0 ? medianText(seconds, 1) : '',
    repeated.length > 0 ? String(Math.max(...repeated)) : '',
  ]);
  console.log(`${rows.at(-1)!.join('  ')}`);
}
const broken: string[][] = [];
for (const [kind, count] of Object.entries(kinds)) {
  if (words.length > 0 && !words.includes(kind)) continue;
  try {
    const { refused, peakBytes } = await fuzz(kind, 1, count);
    broken.push([kind, String(count), String(refused), '0', (peakBytes / 1e6).toFixed(0)]);
  } catch (error) {
    numFailed += 1;
    broken.push([kind, String(count), '', (error as Error).message.split('\n')[0]!, '']);
    console.error(error);
  }
  console.log(broken.at(-1)!.join('  '));
}
console.log(`${chosen.length} faults, ${numFailed} tries failed`);
if (words.length === 0) writeResults('faults', 'Faults and their effects', 'npm run test:faults', document());
process.exitCode = numFailed > 0 ? 1 : 0;

function document(): string {
  return `Each fault is caused at a random moment of a small run (${steps} steps, a checkpoint every ${saveEvery}; the ranks' timeout is ${peerTimeout} s), in
its own processes. Afterwards no process is left, the newest checkpoint is intact (or, if it was corrupted, the one before it), and the run
is resumed with one process: its samples are those of an undisturbed run and its losses are the same to 1e-5. So nothing is
lost; the steps after the checkpoint are repeated.

Seconds are from the fault to the end of the last rank, median and range; the launcher kills a frozen rank ten seconds after the others.
A dead rank is noticed immediately; rank 0 then waits about five seconds for reports of the others, to name the rank. A frozen one is
noticed after the timeout.

${table([['fault', 'times', 'outcome', 'seconds', 'steps repeated, at most'], ...rows])}

## Broken files

Files of each kind with one to four random changes (bits, bytes, parts removed, doubled or inserted, truncation, extreme numbers), read in separate processes. Each is
either read, or refused in one line that names the file. A crash, a hang of ten seconds, an error of another kind or more than 1 GB of memory
would be a failure. MB is the peak memory of the process, including 240 MB for Node and libtorch.

${table([['files', 'read', 'refused', 'failures', 'MB'], ...broken])}

To try some of them: \`npm run test:faults -- SIGKILL\` for those with the word in their name; \`npm run test:faults -- parquet\` for a kind of file. \`npm test\` tries the quick ones once.`;
}
