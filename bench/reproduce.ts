import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { openTimes } from './depth/budget.ts';
import { fineTuneAll } from './depth/glue.ts';
import { fineTuned, reportDepth } from './depth/report.ts';
import { settingOf } from './depth/settings.ts';
import { trainAll } from './depth/train.ts';
import { glue } from './glue.ts';
import { heads } from './heads.ts';
import { analyzeAll } from './paper/analyses.ts';
import { fineTunePaper } from './paper/glue.ts';
import { reportPaper } from './paper/report.ts';
import { trainPaper } from './paper/train.ts';

/** What can be reproduced: `npm run reproduce -- NAME …`. A stopped command resumes where it was. */
interface Command {
  usage: string;
  /** The number of its paths. */
  paths: number;
  /** Whether names may follow them. */
  takesNames?: boolean;
  run(words: readonly string[]): void | Promise<void>;
}

const options = { threads: { type: 'string', default: '2' } } as const;
const { values, positionals } = parseArgs({ allowPositionals: true, options });
const threads = Number(values.threads);
// npm runs this in the project's folder, wherever it was called.
const at = (path: string | undefined) => resolve(process.env.INIT_CWD ?? '.', path!);

const commands: Record<string, Command> = {
  // Times steps, trains what the comparison of depth methods lacks (of the settings that are named), and writes docs/results/depth.md from
  // all records. BOOKS holds train-*.jsonl.gz and valid.jsonl.gz.
  depth: {
    usage: 'BOOKS [SETTINGS…] [--threads N]',
    paths: 1,
    takesNames: true,
    run([books, ...names]) {
      const times = openTimes(threads);
      trainAll(at(books), names, threads, times);
      reportDepth(times);
    },
  },
  // Fine-tunes the best of them, or those that are named, and writes the page again.
  'depth-glue': {
    usage: 'BOOKS GLUE [SETTINGS…] [--threads N]',
    paths: 2,
    takesNames: true,
    run([books, data, ...names]) {
      const wanted = names.length > 0 ? names.map(settingOf) : fineTuned();
      fineTuneAll(wanted, at(books), at(data), threads);
      reportDepth(openTimes(threads));
    },
  },
  // Trains what the paper's figures and tables need (or only the trainings that are named), looks inside the models and fine-tunes them,
  // and writes docs/results/paper.md.
  paper: {
    usage: 'BOOKS GLUE [TRAININGS…] [--threads N]',
    paths: 2,
    takesNames: true,
    run([books, data, ...names]) {
      trainPaper(at(books), names, threads);
      if (names.length === 0) {
        analyzeAll(at(books), threads);
        fineTunePaper(at(books), at(data), threads);
      }
      reportPaper(threads);
    },
  },
  // Fine-tunes a model and the same model untrained on CoLA and SST-2, and writes docs/results/glue.md.
  glue: { usage: 'CHECKPOINT GLUE', paths: 2, run: ([checkpoint, data]) => glue(at(checkpoint), at(data)) },
  // The same for embeddings (SICK) and entities (WNUT-17): docs/results/heads.md. DATA holds pairs/sick and ner/wnut17.
  heads: { usage: 'CHECKPOINT DATA', paths: 2, run: ([checkpoint, data]) => heads(at(checkpoint), at(data)) },
};

const [name = '', ...words] = positionals;
const command = commands[name];
const isRight = command?.takesNames ? words.length >= command.paths : words.length === command?.paths;
if (command && isRight && Number.isInteger(threads) && threads > 0) await command.run(words);
else {
  const lines = Object.entries(commands).map(([name, { usage }]) => `npm run reproduce -- ${name} ${usage}`);
  console.error(lines.join('\n'));
  process.exitCode = 2;
}
