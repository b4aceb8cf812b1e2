import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { trainAll } from './depth.ts';
import { reportDepth } from './depth-report.ts';
import { glue } from './glue.ts';
import { heads } from './heads.ts';

// npm run reproduce -- depth DATA [--jobs N]
//   trains what the comparison of depth methods lacks, then times steps and writes docs/results/depth.md;
//   DATA holds train-*.jsonl.gz and valid.jsonl.gz. It goes on where it was stopped.
// npm run reproduce -- depth
//   the last two alone, from the records that there are
// npm run reproduce -- glue CHECKPOINT GLUE
//   fine-tunes a model and the same model untrained on CoLA and SST-2, and writes docs/results/glue.md
// npm run reproduce -- heads CHECKPOINT DATA
//   the same for embeddings (SICK) and entities (WNUT-17), and writes docs/results/heads.md; DATA holds pairs/sick and ner/wnut17

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { jobs: { type: 'string', default: '1' } },
});
// npm runs this in the project's folder, wherever it was called.
const [what, ...paths] = positionals.map((word, i) => (i === 0 ? word : resolve(process.env.INIT_CWD ?? '.', word)));
const jobs = Number(values.jobs);
if (what === 'depth' && Number.isInteger(jobs) && jobs > 0) {
  if (paths[0] !== undefined) await trainAll(paths[0], jobs);
  reportDepth();
} else if (what === 'glue' && paths.length === 2) {
  glue(paths[0]!, paths[1]!);
} else if (what === 'heads' && paths.length === 2) {
  await heads(paths[0]!, paths[1]!);
} else {
  console.error('npm run reproduce -- depth [DATA] [--jobs N] | glue CHECKPOINT GLUE | heads CHECKPOINT DATA');
  process.exitCode = 2;
}
