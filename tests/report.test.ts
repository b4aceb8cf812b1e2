// `taper-lm report`, and what `taper-lm pretrain` says in a terminal and elsewhere.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Gap } from '../src/runs/index.ts';
import { commandsIn, linesOf, writeTiny } from './cli.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-report-'));
const at = (path: string) => join(folder, path);
const read = (path: string) => readFileSync(at(path), 'utf8');
const { done, refused } = commandsIn(folder);
after(() => rmSync(folder, { recursive: true, force: true }));

before(async () => {
  writeTiny(folder);
  const sets = ['--quiet', '--set', 'train.steps=12', 'train.evalEvery=4'];
  await done('pretrain', 'tiny.yaml', '--out', 'pld', ...sets);
  await done('pretrain', 'tiny.yaml', '--out', 'dense', ...sets, 'depth.method=dense');
});

describe('taper-lm report', () => {
  test('writes one HTML file that needs nothing else, with the numbers of the runs', async () => {
    await done('report', 'dense', 'pld', '-o', 'out/report.html');
    assert.deepEqual(readdirSync(at('out')), ['report.html']);
    const html = read('out/report.html');
    assert.doesNotMatch(html, /<script|<link|<img|@import|url\((?!#)/);
    for (const [address] of html.matchAll(/https?:\/\/[^"'\s<]+/g)) assert.match(address, /^http:\/\/www\.w3\.org\//);
    const figures = html.match(/<figure[^>]*>(?=<svg)/g) ?? [];
    assert.ok(figures.length >= 12, `${figures.length} figures`);
    assert.match(html, /Keep rate of each block: pld/);
    assert.doesNotMatch(html, /Keep rate of each block: dense/, 'every block of a dense run runs');
    assert.equal(html.match(/<figure/g)!.length, figures.length, 'each holds its picture');

    const steps = linesOf(at('pld')).filter(({ type }) => type === 'step');
    const sum = (key: string) => steps.reduce((total, line) => total + (line[key] as number), 0);
    const saved = `${(100 * (1 - sum('flops') / sum('denseFlops'))).toFixed(1)} %`;
    const row = (name: string) =>
      new RegExp(`<td>${name}</td>\\s*<td>(.*?)</td>\\s*<td>(.*?)</td>`).exec(html)!.slice(1);
    assert.deepEqual(row('step FLOPs saved'), ['0.0 %', saved]);
    const last = (run: string) => (linesOf(at(run)).findLast(({ type }) => type === 'eval')!.loss as number).toFixed(4);
    assert.deepEqual(row('held-out loss \\(nats\\)'), [last('dense'), last('pld')]);
    assert.deepEqual(row('depth.method'), ['&quot;dense&quot;', '&quot;pld&quot;']);
    assert.match(html, /npx taper-lm pretrain tiny\.yaml --out pld --quiet --set train\.steps=12/);
    assert.doesNotMatch(html, /What we measured\./);
    const links = [...html.matchAll(/<a href="#([^"]+)">/g)].map(([, id]) => id!);
    assert.deepEqual(
      links,
      [...html.matchAll(/<h2 id="([^"]+)">/g)].map(([, id]) => id!),
    );
    assert.deepEqual(links.slice(0, 3), ['data', 'what-the-models-fill-in', 'results']);
    for (const title of ['Settings', 'Training environment'])
      assert.match(html, new RegExp(`<details><summary><h2[^>]*>${title}</h2></summary>`));
    const [example] = linesOf(at('pld')).findLast(({ type }) => type === 'eval')!.examples as Gap[];
    assert.ok(html.includes(`<strong>${example!.right}</strong>`));
    const { loss } = JSON.parse((await done('compare', 'dense', 'pld', '--json')).stdout) as { loss: number };
    assert.ok(html.includes(`Cost of reaching held-out loss ${loss.toFixed(4)}`));
  });

  test('writes Markdown with its figures beside it', async () => {
    await done('report', 'pld', '-o', 'md/pld.md');
    const images = [...read('md/pld.md').matchAll(/!\[[^\]]+\]\(([^)]+)\)/g)].map(([, path]) => path!);
    assert.ok(images.length >= 8);
    for (const path of images) assert.match(read(`md/${path}`), /^<svg/);
    assert.doesNotMatch(read('md/pld.md'), /Cost of reaching/);
  });

  test('takes names and texts of others letter by letter', async () => {
    const name = 'a <b>|`_x_` & "q" #1';
    cpSync(at('pld'), at(name), { recursive: true });
    writeFileSync(
      at(`${name}/log.jsonl`),
      `${JSON.stringify({ time: '2026-01-01T00:00:00Z', step: 1, type: 'warning', text: '<script>alert(1)</script>|' })}\nbroken\n`,
    );
    await done('report', name, '-o', 'odd.html');
    const html = read('odd.html');
    assert.doesNotMatch(html, /<b>|<script|<em>/);
    assert.match(html, /<h1>a &(lt|#60);b&(gt|#62);(\||&#124;)/);
    assert.match(html, /1 line of its files that could not be read/);
  });

  test('says why runs are not compared, and refuses what is no run', async () => {
    await done('pretrain', 'tiny.yaml', '--out', 'other', '--quiet', '--set', 'data.maskRate=0.3');
    await done('report', 'pld', 'other', '-o', 'apart.html');
    assert.match(read('apart.html'), /Not compared: other: was evaluated with data\.maskRate 0\.3, pld with 0\.15/);
    await refused(['report', 'nowhere', '-o', 'x.html'], /nowhere: config\.json or metrics\.jsonl is missing/);
    await refused(['report', 'pld', '-o', 'x.pdf'], /x\.pdf: ends neither in \.html nor in \.md/);
    await refused(['report', 'pld', './pld', '-o', 'x.html'], /\.\/pld: given twice/);
    assert.ok(!existsSync(at('x.html')));
  });
});

describe('what a training says', () => {
  test('elsewhere than in a terminal: plain lines, and a table of the evaluations', async () => {
    const { stderr } = await done(
      'pretrain',
      'tiny.yaml',
      '--out',
      'plain',
      '--set',
      'train.steps=12',
      'train.evalEvery=4',
    );
    for (const sign of ['\r', '\u001b', '█']) assert.ok(!stderr.includes(sign), stderr);
    const lines = stderr.split('\n');
    assert.ok(lines.every((line) => line.length <= 100));
    const head = lines.findIndex((line) =>
      /^ +step +held-out loss +perplexity +accuracy +training loss +FLOPs saved$/.test(line),
    );
    assert.ok(head >= 0, stderr);
    const columns = lines.filter((line) => /^ +\d+ +\d/.test(line)).map((line) => line.trim().split(/ {2,}/));
    const evaluations = linesOf(at('plain')).filter(({ type }) => type === 'eval');
    assert.deepEqual(
      columns.map(([step, loss]) => [step, loss]),
      evaluations.map(({ step, loss }) => [String(step), (loss as number).toFixed(3)]),
    );
  });

  test('--quiet prints warnings only', async () => {
    const { stderr } = await done('pretrain', 'tiny.yaml', '--out', 'quiet', '--quiet');
    assert.equal(stderr, '');
    const warned = await done('pretrain', 'tiny.yaml', '--out', 'warned', '--quiet', '--set', 'depth.gamma=1e-4');
    assert.match(warned.stderr, /^warning: .*gamma[^\n]*\n$/);
  });

  const hasScript = spawnSync('script', ['--version']).status === 0;
  test('in a terminal of 80 columns: a bar that fits', { skip: !hasScript && 'there is no script(1)' }, () => {
    const main = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
    const command = `stty cols 80; '${process.execPath}' '${main}' pretrain tiny.yaml --out terminal --set train.steps=200`;
    const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...env } = process.env;
    const { stdout } = spawnSync('script', ['-qec', command, '/dev/null'], { cwd: folder, encoding: 'utf8', env });
    const bars = stdout
      .split(/[\r\n]/)
      .flatMap((line) => line.split('\u001b['))
      .map((part) => part.replace(/^[\d?;]*[A-Za-z]/, ''))
      .filter((part) => part.includes('░'));
    assert.ok(bars.length > 3, stdout);
    for (const bar of bars) {
      assert.ok([...bar].length <= 80, bar);
      assert.match(bar, /\d+\/200 loss \d\.\d\d (θ \d\.\d\d )?[\d.]+\/2 blocks [\d.]+k tokens\/s \w+/);
    }
  });
});
