import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { trainAll } from './depth.ts';
import { reportDepth } from './depth-report.ts';

// npm run reproduce -- depth DATA [--jobs N]
//   trains what the comparison of depth methods lacks, then times steps and writes docs/results/depth.md;
//   DATA holds train-*.jsonl.gz and valid.jsonl.gz. It goes on where it was stopped.
// npm run reproduce -- depth
//   the last two alone, from the records that there are

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { jobs: { type: 'string', default: '1' } },
});
const [what, data] = positionals;
const jobs = Number(values.jobs);
if (what !== 'depth' || !(Number.isInteger(jobs) && jobs > 0)) {
  console.error('npm run reproduce -- depth [DATA] [--jobs N]');
  process.exitCode = 2;
} else {
  // npm runs this in the project's folder, wherever it was called.
  if (data !== undefined) await trainAll(resolve(process.env.INIT_CWD ?? '.', data), jobs);
  reportDepth();
}
