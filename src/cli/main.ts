#!/usr/bin/env node
import { Command } from 'commander';
import { packageVersion } from '../config/index.ts';
import { analyzeCommand } from './analyze.ts';
import { benchCommand } from './bench.ts';
import { compareCommand } from './compare.ts';
import { dashboardCommand } from './dashboard.ts';
import { dataCommand } from './data.ts';
import { embedCommand } from './embed.ts';
import { reportError } from './errors.ts';
import { evalCommand } from './eval.ts';
import { exportCommand } from './export.ts';
import { fillCommand } from './fill.ts';
import { finetuneCommand } from './finetune.ts';
import { generateCommand } from './generate.ts';
import { glueCommand } from './glue.ts';
import { importCommand } from './import.ts';
import { launchCommand } from './launch.ts';
import { planCommand } from './plan.ts';
import { predictCommand } from './predict.ts';
import { pretrainCommand } from './pretrain.ts';
import { pushCommand } from './push.ts';
import { reportCommand } from './report.ts';
import { serveCommand } from './serve.ts';
import { settle } from './settle.ts';
import { setupCommand } from './setup.ts';
import { tokenizerCommand } from './tokenizer.ts';
import { tuneCommand } from './tune.ts';

const program = new Command('taper-lm')
  .description(
    'Pre-train small Transformer encoders and decoders on your own text, dense or with progressive layer dropping.',
  )
  .version(packageVersion())
  .enablePositionalOptions() // `launch` passes on the options of its command
  .addHelpText('after', '\nExample:\n  npx taper-lm pretrain configs/encoder.yaml --data my/texts');

const commands = [
  pretrainCommand(),
  launchCommand(),
  planCommand(),
  tuneCommand(),
  compareCommand(),
  reportCommand(),
  analyzeCommand(),
  evalCommand(),
  fillCommand(),
  generateCommand(),
  finetuneCommand(),
  predictCommand(),
  embedCommand(),
  glueCommand(),
  importCommand(),
  exportCommand(),
  pushCommand(),
  tokenizerCommand(),
  dataCommand(),
  dashboardCommand(),
  serveCommand(),
  benchCommand(),
  setupCommand(),
];
for (const command of commands) program.addCommand(command);
settle(program, 'npx taper-lm');

// A reader such as `head` may close the pipe before everything is written.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = reportError(error);
}
