// Makes a fresh checkout ready to run, and does nothing if it is; with `--dev`, also ready for tests and benchmarks.
// Runs before every `npm start` and `npm test`, and before any npm packages are installed, so it is plain JavaScript without dependencies.
// An old Node must be able to report that it is too old: this file and node.mjs use only syntax that Node 12 parses, and
// everything else is loaded after the check.
import { nodeMistake } from './node.mjs';

const mistake = nodeMistake(process.versions.node);
if (mistake) {
  process.stderr.write(`${mistake}\n`);
  process.exitCode = 2;
} else {
  void import('./prepare.mjs').then(({ prepare }) => prepare(process.argv.slice(2)));
}
