// Every check, in one command: formatter and linter, types, then the tests. `npm test -- words…` runs the test files
// whose path contains one of the words, and nothing else. The last line is `N passed, N failed`.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';

const fileTimeoutMs = 600_000;
const numFilesAtOnce = 2;
// These start many processes that use every core or are timed, so each has the machine to itself.
const alone = ['emulated-gpu', 'faults', 'ranks'];
const counts = { passed: 0, failed: 0, skipped: 0 };

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
// The numbers in tests are the CPU's, also where there is a GPU; that has `npm run check:gpu`.
process.env.CUDA_VISIBLE_DEVICES = '';
// The test files run in processes of their own, which inherit this; errors then point into the TypeScript.
process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --enable-source-maps`;

const words = process.argv.slice(2);
if (words.length === 0) {
  check('format and lint', 'node_modules/.bin/biome', ['check', '--error-on-warnings']);
  check('types', 'node_modules/.bin/tsc', ['-p', '.', '--noEmit', '--incremental', 'false']);
  check("the page's types", 'node_modules/.bin/tsc', ['-p', 'src/dashboard/page']);
}
const unitFiles = testFiles('src', words);
const programFiles = testFiles('tests', words);
if (unitFiles.length + programFiles.length === 0)
  fail('test files', `no test file has ${words.join(' or ')} in its path`);
const isAlone = (path) => alone.some((name) => path === `tests/${name}.test.ts`);
await runFiles([...unitFiles, ...programFiles.filter((path) => !isAlone(path))], numFilesAtOnce);
await runFiles(programFiles.filter(isAlone), 1);

const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`);
process.exit(counts.failed > 0 ? 1 : 0);

/** Runs a command that counts as one check. */
function check(name, command, commandArguments) {
  const start = performance.now();
  const { status, stdout, stderr, error } = spawnSync(command, commandArguments, { encoding: 'utf8' });
  if (status !== 0) {
    fail(name, error?.message ?? `${stdout}${stderr}`);
    return;
  }
  counts.passed += 1;
  console.log(`ok      ${name}  ${seconds(start)}`);
}

function fail(name, report) {
  counts.failed += 1;
  console.log(`FAILED  ${name}\n${report.trimEnd().replace(/^/gm, '    ')}`);
}

/** The test sources of a folder, sorted. What dist/ holds of deleted sources is not among them. */
function testFiles(folder, words) {
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith('.test.ts') && !name.includes('node_modules'))
    .map((name) => join(folder, name))
    .filter((path) => words.length === 0 || words.some((word) => path.includes(word)))
    .sort();
}

async function runFiles(files, numAtOnce) {
  const waiting = [...files];
  const worker = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) await runFile(file);
  };
  await Promise.all(Array.from({ length: numAtOnce }, worker));
}

/** Runs one test file in a process of its own; its output is shown only when a test in it fails. */
async function runFile(source) {
  const start = performance.now();
  const compiled = join('dist', source.replace(/\.ts$/, '.js'));
  if (!existsSync(compiled)) {
    fail(source, `${compiled} is missing; npm run build -- --dev compiles it`);
    return;
  }
  const tooLong = AbortSignal.timeout(fileTimeoutMs);
  const file = { compiled, tooLong, passed: 0, failed: 0, skipped: 0, failures: [], notices: [], output: '' };
  for await (const { type, data } of run({ files: [compiled], signal: tooLong })) {
    if (type === 'test:stdout' || type === 'test:stderr') file.output += data.message;
    if (type === 'test:pass' || type === 'test:fail') countTest(file, type, data);
  }
  if (file.passed + file.failed + file.skipped === 0) {
    file.failed = 1;
    file.failures.push({ name: 'the whole file', report: 'no test ran' });
  }
  for (const notice of file.notices) console.log(`skipped ${source}: ${notice}`);
  for (const { name, report } of file.failures) fail(`${source}: ${name}`, report);
  counts.passed += file.passed;
  counts.skipped += file.skipped;
  if (file.failed > 0 && file.output)
    console.log(`output of ${source}\n${file.output.trimEnd().replace(/^/gm, '    ')}`);
  console.log(
    `${file.failed === 0 ? 'ok    ' : 'FAILED'}  ${source}  ${file.passed} of ${file.passed + file.failed}  ${seconds(start)}`,
  );
}

/** Counts one event of the test stream: a test's result, or the end of the file's process, which has the file's name. */
function countTest(file, type, data) {
  const { error } = data.details;
  const isFile = data.name === file.compiled;
  if (typeof data.skip === 'string' && data.skip !== '') file.notices.push(`${data.name}: ${data.skip}`);
  // A suite, and a test that failed only by its inner tests, are counted by those; a suite that is skipped has none.
  if ((data.details.type === 'suite' && data.skip === undefined) || error?.failureType === 'subtestsFailed') return;
  if (type === 'test:pass') {
    if (data.skip !== undefined || data.todo !== undefined) file.skipped += 1;
    else if (!isFile) file.passed += 1;
  } else if (data.todo !== undefined) {
    file.skipped += 1;
  } else {
    file.failed += 1;
    file.failures.push({
      name: isFile ? 'the whole file' : data.name,
      report: isFile ? ending(file, error) : inspect(error.cause ?? error),
    });
  }
}

/** How the process of a test file ended. */
function ending(file, { exitCode, signal }) {
  if (file.tooLong.aborted) return `stopped, because it was not done after ${fileTimeoutMs / 1000} s`;
  return signal ? `ended by ${signal}` : `ended with exit code ${exitCode}`;
}

function seconds(start) {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}
