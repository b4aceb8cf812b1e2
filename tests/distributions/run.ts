// npm run test:distributions [-- words…]
//   runs `npm start` and `npm test` in a fresh clone on each system, as root and as a plain user, with Node 20.19, 22 and 24 (those
//   visits whose name has all of the words); then, without words or with the word `speed`, times one step on each
//   system in turn. Keeps a record of each, and writes docs/results/platforms.md of all records. TAPER_ARCHIVE=FILE is the archive that the set-up
//   would download, where it cannot be reached.
import { once } from 'node:events';
import { createReadStream, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { table, writeResults } from '../../bench/report.ts';
import { median } from '../../src/averages.ts';
import { obstacleToRoot } from '../faults/root.ts';
import { cloneProject, homeOf, inRoot, installNode, makeRoot, systems, type User } from './systems.ts';

const numRounds = 9;
/** Steps are timed with one Node on all systems. */
const timedNode = '20.19';
const records = fileURLToPath(new URL('../../../docs/results/platforms', import.meta.url));
mkdirSync(records, { recursive: true });

interface Visit {
  system: string;
  user: User;
  node: string;
  versions: string;
  start: { seconds: number; heldOut: string };
  test: { seconds: number; last: string; skipped: string[]; failed: string[] };
}
interface Speed {
  [shape: string]: { [system: string]: number[] };
}

const obstacle = obstacleToRoot('debootstrap', 'git', 'unshare');
if (obstacle !== undefined) throw new Error(`test:distributions: ${obstacle}`);
const words = process.argv.slice(2);
using archive = await serveArchive();

for (const [name, { visits, hasArchive }] of Object.entries(systems)) {
  for (const { user, node } of visits) {
    const visitName = `${name}-${user}-node${node}`;
    if (!words.every((word) => visitName.includes(word))) continue;
    const record = await visit(name, user, node, hasArchive ? archive.environment : {});
    writeFileSync(join(records, `${visitName}.json`), `${JSON.stringify(record, undefined, 2)}\n`);
    console.log(`${visitName}: ${record.start.heldOut || 'npm start FAILED'}; ${record.test.last}`);
    for (const line of record.test.failed) console.log(`  ${line}`);
    if (record.start.heldOut === '' || !/ 0 failed/.test(record.test.last)) process.exitCode = 1;
  }
}
if (words.length === 0 || words.includes('speed')) {
  writeFileSync(join(records, 'speed.json'), `${JSON.stringify(await timeSteps(), undefined, 2)}\n`);
}
writeResults('platforms', 'Operating systems tested', 'npm run test:distributions', document());

async function visit(name: string, user: User, node: string, environment: Record<string, string>): Promise<Visit> {
  const root = await makeRoot(name);
  const PATH = installNode(root, node);
  const place = await cloneProject(root, user);
  const run = async (command: string, name: string) => {
    const start = performance.now();
    const { status, output } = await inRoot(root, user, `cd ${place}; ${command}`, { ...environment, PATH });
    const log = join(root, `var/log/taper-${user}-node${node}-${name}.log`);
    writeFileSync(log, output);
    if (status !== 0) console.log(`${command}: exit code ${status}; ${log}`);
    return { output, seconds: Math.round((performance.now() - start) / 1000) };
  };
  const started = await run('npm start', 'start');
  const tested = await run('npm test', 'test');
  const versions = await run(
    `node --version; npm --version; c++ --version | head -1; node -p 'JSON.parse(fs.readFileSync("build/setup.json")).libtorch.version'`,
    'versions',
  );
  const lines = tested.output.trimEnd().split('\n');
  return {
    system: name,
    user,
    node,
    versions: versions.output.trim().replaceAll('\n', ', '),
    start: { seconds: started.seconds, heldOut: /^held-out loss +(\S+ → \S+)/m.exec(started.output)?.[1] ?? '' },
    test: {
      seconds: tested.seconds,
      last: lines.at(-1)!,
      skipped: lines.filter((line) => line.startsWith('skipped ')),
      failed: lines.filter((line) => line.startsWith('FAILED ')),
    },
  };
}

/** Seconds of a step on all systems in turn, each with the addon that its first visit built. */
async function timeSteps(): Promise<Speed> {
  const shapes = {
    '6 × 256': ['--layers', '6', '--hidden', '256', '--heads', '4', '--batch', '16'],
    '3 × 768': ['--layers', '3', '--hidden', '768', '--heads', '12', '--batch', '8'],
  };
  const speed: Speed = {};
  for (const [shape, flags] of Object.entries(shapes)) {
    for (const dtype of ['fp32', 'bf16']) {
      const times = Object.fromEntries(Object.keys(systems).map((name): [string, number[]] => [name, []]));
      for (let round = 0; round < numRounds; round++) {
        for (const [name, { visits }] of Object.entries(systems)) {
          const root = await makeRoot(name);
          const { user } = visits[0]!;
          const place = `${homeOf(user)}/taper`;
          const command = `cd ${place}; node dist/src/cli/main.js bench step --json --threads 2 --steps 5 --warmup 2 --dtype ${dtype} ${flags.join(' ')}`;
          const { output } = await inRoot(root, user, command, { PATH: installNode(root, timedNode) });
          times[name]!.push(JSON.parse(output.trimEnd().split('\n').at(-1)!).step_s_median);
        }
      }
      speed[`${shape}, ${dtype}`] = times;
    }
  }
  return speed;
}

function document(): string {
  const visits = readdirSync(records)
    .filter((file) => file !== 'speed.json' && file.endsWith('.json'))
    .map((file) => JSON.parse(readFileSync(join(records, file), 'utf8')) as Visit);
  const speed = JSON.parse(readFileSync(join(records, 'speed.json'), 'utf8')) as Speed;
  const skipped = [...new Set(visits.flatMap(({ test }) => test.skipped))].sort();
  return `
${table([
  ['system', 'user', 'Node, npm, compiler, libtorch', '`npm start`: held-out loss', 'seconds', '`npm test`', 'seconds'],
  ...visits.map(({ system, user, versions, start, test }) => [
    systems[system]!.title,
    user,
    versions,
    start.heldOut || 'failed',
    start.seconds,
    test.last,
    test.seconds,
  ]),
])}

Each is a fresh clone; seconds include the set-up. Skipped on at least one of them:

${skipped.map((line) => `- ${line.replace('skipped ', '')}`).join('\n')}

## Speed compared with Debian 12

Seconds per step relative to Debian 12 in the same round: the median of ${numRounds} alternating rounds, minimum and maximum (two threads,
Node ${timedNode}).

${table([
  ['blocks × width, precision', ...Object.values(systems).map(({ title }) => title)],
  ...Object.entries(speed).map(([shape, times]) => [
    shape,
    ...Object.keys(systems).map((name) => {
      const ratios = times[name]!.map((seconds, round) => seconds / times['debian-12']![round]!);
      const [middle, least, most] = [median(ratios), Math.min(...ratios), Math.max(...ratios)];
      return `${middle.toFixed(2)} (${least.toFixed(2)} to ${most.toFixed(2)})`;
    }),
  ]),
])}

## Not tried

Judged only by reading, because none of them was available: Ubuntu 22.04 and 24.04, whose libtorch-dev is too old or missing, take
the archive as in the last row; Fedora and others do the same, with their own compiler and CMake (glibc 2.28 or newer). macOS takes
Homebrew's pytorch, and Linux on ARM64 Debian's libtorch-dev; where the kernels exist in only one version.
`;
}

/** Serves the file TAPER_ARCHIVE, if it is set; gives the environment that points the set-up to it. */
async function serveArchive(): Promise<{ environment: Record<string, string>; [Symbol.dispose](): void }> {
  const file = process.env.TAPER_ARCHIVE;
  if (file === undefined) return { environment: {}, [Symbol.dispose]() {} };
  const server = createServer((_, response) => {
    response.setHeader('content-length', statSync(file).size);
    createReadStream(file).pipe(response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/${basename(file)}`;
  return { environment: { TAPER_LIBTORCH_URL: url }, [Symbol.dispose]: () => server.close() };
}
