// Makes a fresh checkout ready to run, and does nothing when it is; with `--dev`, ready for the tests and benchmarks as
// well. Runs before every `npm start` and `npm test`, and before there are any npm packages, so it is plain JavaScript on Node alone. An old Node must get as far as to say that
// it is too old: this file and node.mjs hold only syntax that Node 12 parses, and the rest is loaded after the check.
import { nodeMistake } from './node.mjs';

const mistake = nodeMistake(process.versions.node);
if (mistake) {
  process.stderr.write(`${mistake}\n`);
  process.exitCode = 2;
} else {
  void import('./prepare.mjs').then(({ prepare }) => prepare(process.argv.slice(2)));
}
