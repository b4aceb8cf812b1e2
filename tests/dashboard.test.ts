// cspell:ignore fdense fetc fpackage
// The dashboard as people use it: the program, and a real browser.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { isBeingTrained } from '../src/files/index.ts';
import { noBrowser, openBrowser, openPage } from './browser.fixture.ts';
import { commandsIn, type Line, linesOf, type Started, sentences, start, writeTiny } from './cli.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-dashboard-'));
const at = (path: string) => join(folder, path);
const { done, refused } = commandsIn(folder);
const running: ChildProcess[] = [];

after(() => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

before(async () => {
  writeTiny(folder);
  const train = (out: string, ...sets: string[]) =>
    done(
      'pretrain',
      'tiny.yaml',
      '--out',
      `runs/${out}`,
      '--quiet',
      '--set',
      'train.steps=30',
      'train.evalEvery=10',
      ...sets,
    );
  await train('pld', 'train.microBatchSize=8');
  await train('dense', 'depth.method=dense');
});

/** Starts a dashboard and waits for its address. */
async function dashboard(...words: string[]): Promise<Started & { url: string }> {
  const started = start(['dashboard', ...words], { cwd: folder });
  running.push(started.child);
  const url = await addressOf(started.child);
  return { ...started, url };
}

function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    child.stderr!.on('data', (bytes) => {
      said += bytes;
      const url = /^dashboard: (\S+)$/m.exec(said)?.[1];
      if (url) resolve(url);
    });
    child.on('close', () => reject(new Error(said)));
  });
}

/** An answer to a request with headers that a browser would not send. */
function answer(url: string, path: string, headers: Record<string, string> = {}) {
  const { hostname, port } = new URL(url);
  return new Promise<{ status: number; body: string; headers: Record<string, unknown> }>((resolve, reject) => {
    const asked = request({ hostname, port, path, headers }, (response) => {
      let body = '';
      response.on('data', (bytes) => {
        body += bytes;
      });
      response.on('end', () => resolve({ status: response.statusCode!, body, headers: response.headers }));
    });
    asked.on('error', reject).end();
  });
}

describe('the server sends', () => {
  let url: string;
  before(async () => {
    ({ url } = await dashboard('runs', '--port', '0'));
  });

  test('the runs with their state, the newest first', async () => {
    const runs = JSON.parse((await answer(url, '/api/runs')).body) as Record<string, unknown>[];
    assert.deepEqual(
      runs.map(({ name, state, step, steps, method }) => [name, state, step, steps, method]),
      [
        ['dense', 'done', 30, 30, 'dense'],
        ['pld', 'done', 30, 30, 'pld'],
      ],
    );
    const logged = linesOf(at('runs/pld'));
    assert.equal(runs[1]!.heldOutLoss, logged.findLast(({ type }) => type === 'eval')!.loss);
    assert.equal(runs[1]!.loss, logged.findLast(({ type }) => type === 'step')!.loss);
  });

  test('of a run what its metrics say, and gates that add up to the depth that was logged', async () => {
    const run = JSON.parse((await answer(url, '/api/run?name=pld')).body);
    const steps = linesOf(at('runs/pld')).filter(({ type }) => type === 'step');
    assert.deepEqual(
      run.columns.keepRates,
      steps.map(({ keepRates }) => keepRates),
    );
    // With one micro-batch per step, the blocks that its gates let run are the depth of the step.
    assert.deepEqual(
      run.gates.map((gates: boolean[]) => gates.filter(Boolean).length),
      steps.map(({ depth }) => depth),
    );
    assert.ok(run.saved.blockFlops > 0.1 && run.savedAtEnd.blockFlops > 0.1);
    const [, , threads] = ['model.layers', 'depth.method', 'train.threads'].map((key) => new Map(run.config).get(key));
    assert.equal(threads, '1');
    assert.deepEqual([run.log.at(-1).type, run.log.at(-1).text], ['end', 'done']);
    assert.ok(run.peakFlops > 1e8);
  });

  test('nothing outside of the runs', async () => {
    for (const path of [
      '/../package.json',
      '/..%2f..%2fpackage.json',
      '/assets/../../src/index.js',
      '/api/run?name=..%2f..%2fetc',
      '/api/run?name=%2Fetc',
      '/api/compare?run=pld&run=..%2Fdense',
      '/config.json',
    ]) {
      const { status, body } = await answer(url, path);
      assert.deepEqual([status, body.length < 20], [404, true], path);
    }
  });

  test('nothing to a page that came here by another name', async () => {
    const { port } = new URL(url);
    for (const host of ['evil.example', `evil.example:${port}`, `127.0.0.1.evil.example:${port}`, 'a b']) {
      assert.ok([400, 403].includes((await answer(url, '/api/runs', { host })).status), host);
    }
    assert.equal((await answer(url, '/api/runs', { host: `localhost:${port}` })).status, 200);
    const { headers } = await answer(url, '/');
    assert.match(String(headers['content-security-policy']), /default-src 'self'/);
    assert.equal(headers['access-control-allow-origin'], undefined);
    const fromElsewhere = { host: `localhost:${port}`, 'sec-fetch-site': 'cross-site' };
    assert.equal((await answer(url, '/api/compare?run=pld&run=dense', fromElsewhere)).status, 403);
    assert.equal((await answer(url, '/api/compare?run=pld')).status, 400);
  });

  test('what is broken, and all else besides', async () => {
    mkdirSync(at('odd/fine'), { recursive: true });
    cpSync(at('runs/pld'), at('odd/fine'), { recursive: true });
    for (const name of ['folder', 'lock', 'log', 'unread'])
      cpSync(at('runs/pld'), at(`odd/${name}`), { recursive: true });
    rmSync(at('odd/folder/metrics.jsonl'));
    mkdirSync(at('odd/folder/metrics.jsonl'));
    mkdirSync(at('odd/lock/lock'));
    appendFileSync(at('odd/log/log.jsonl'), '{"type":"start","time":"now"}\n[1]\n');
    writeFileSync(at('odd/unread/config.json'), '{ "model": ');
    symlinkSync('..', at('odd/loop'));
    const { url: odd } = await dashboard('odd', '--port', '0');
    const runs = JSON.parse((await answer(odd, '/api/runs')).body) as { name: string; state: string }[];
    assert.deepEqual(runs.map(({ name, state }) => `${name} ${state}`).sort(), [
      'fine done',
      'lock broken',
      'log done',
      'unread broken',
    ]);
    assert.equal(JSON.parse((await answer(odd, '/api/run?name=log')).body).brokenLines, 2);
    const { status, body } = await answer(odd, '/api/run?name=unread');
    assert.deepEqual([status, /config\.json/.test(body)], [500, true]);
    rmSync(at('odd'), { recursive: true });
    assert.equal((await answer(odd, '/api/runs')).body, '[]');
  });

  test('nothing on another address without the token that was printed', async () => {
    const { url: open } = await dashboard('runs', '--host', '127.0.0.2', '--port', '0');
    const token = new URL(open).searchParams.get('token')!;
    assert.ok(token.length >= 32);
    assert.equal((await answer(open, '/api/runs')).status, 403);
    for (const wrong of ['wrong', encodeURIComponent('ä'.repeat(32))])
      assert.equal((await answer(open, `/api/runs?token=${wrong}`)).status, 403);
    const { status, headers } = await answer(open, `/?token=${token}`);
    assert.equal(status, 200);
    const [cookie] = headers['set-cookie'] as string[];
    assert.match(cookie!, /HttpOnly/);
    assert.equal((await answer(open, '/api/runs', { cookie: cookie!.split(';')[0]! })).status, 200);
  });

  test('mistakes in one line', async () => {
    await refused(['dashboard', 'nowhere'], /nowhere: no such folder/);
    const { port } = new URL(url);
    await refused(['dashboard', 'runs', '--port', port], /--port \d+: something else listens at/);
    await refused(['dashboard', 'runs', '--host', '203.0.113.1'], /--host 203\.0\.113\.1: cannot be listened at/);
    await refused(['dashboard', 'runs', '--port', '99999'], /--port 99999: is no port/);
    await refused(['dashboard', 'tiny.yaml'], /tiny\.yaml: no such folder/);
  });
});

test('--dashboard serves the run that trains, and ends with it, however that ends', { timeout: 60_000 }, async () => {
  const words = ['pretrain', 'tiny.yaml', '--out', 'runs-live/own', '--dashboard', '0', '--set', 'train.steps=100000'];
  const { child, ended } = start(words, { cwd: folder });
  running.push(child);
  const url = await addressOf(child);
  const runs = async () => JSON.parse((await answer(url, '/api/runs')).body) as Record<string, unknown>[];
  let found: Record<string, unknown>[] = [];
  while (!((found[0]?.step as number) > 0)) found = await runs();
  assert.deepEqual([found[0]!.name, found[0]!.state], ['own', 'training']);
  assert.ok((found[0]!.secondsLeft as number) > 1);
  child.kill('SIGKILL');
  await ended;
  await assert.rejects(async () => {
    for (;;) await runs();
  }, /ECONNREFUSED|ECONNRESET|socket hang up/);
});

describe('the page', { skip: noBrowser, timeout: 240_000 }, () => {
  let browser: Browser;
  let url: string;
  const problems: string[] = [];
  before(async () => {
    ({ url } = await dashboard('runs', '--port', '0'));
    browser = await openBrowser();
  });
  after(() => browser?.close());

  const open = (hash: string, width?: number): Promise<Page> => openPage(browser, `${url}${hash}`, problems, width);

  test('a curve grows while its run trains, without a reload', async () => {
    const words = ['pretrain', 'tiny.yaml', '--out', 'runs/live', '--quiet', '--set', 'train.steps=100000'];
    const { child, ended } = start(words, { cwd: folder });
    running.push(child);
    const page = await open('#run=live');
    const points = async () => Number(await page.locator('[data-chart="Training loss"]').getAttribute('data-points'));
    const few = await points();
    await page.evaluate('window.isSamePage = true');
    while ((await points()) < few + 50) await page.waitForTimeout(50);
    assert.equal(await page.evaluate('window.isSamePage'), true);
    assert.equal(await page.locator('.run-facts .state').textContent(), 'training');
    child.kill('SIGTERM');
    await ended;
    await page.locator('.run-facts .state.stopped').waitFor();
    await page.close();
  });

  test('the heat map has a row for each block, and its cells say what the metrics say', async () => {
    const page = await open('#run=pld');
    const map = page.locator('.heat-map');
    await map.waitFor();
    assert.equal(await map.getAttribute('data-rows'), '2');
    const steps = linesOf(at('runs/pld')).filter(({ type }) => type === 'step');
    await map.locator('canvas').focus();
    await page.keyboard.press('Home');
    const told = (step: number, block: number, rate: number) =>
      map.getByText(`step ${step}, block ${block}: keep rate ${rate.toFixed(3)}, `).waitFor();
    for (const [i, step] of steps.entries()) {
      const [low, high] = step.keepRates as [number, number];
      await told(i + 1, 1, low);
      await page.keyboard.press('ArrowUp');
      await told(i + 1, 2, high);
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('ArrowRight');
    }
    await page.close();
  });

  test('two runs are overlaid and compared, and the differences of their settings are shown', async () => {
    const page = await open('#run=pld');
    await page.getByLabel('overlay dense').check();
    await page.getByLabel('compare', { exact: true }).check();
    const table = page.locator('.compared table').first();
    await table.waitFor();
    const said = JSON.parse((await done('compare', 'runs/pld', 'runs/dense', '--json')).stdout);
    const rows = await page.locator('.compared table').first().locator('tbody tr').allTextContents();
    assert.equal(rows.length, 2);
    for (const [i, row] of rows.entries()) {
      assert.ok(row.startsWith(['pld', 'dense'][i]!) && row.endsWith(said.runs[i].last.loss.toFixed(4)), row);
    }
    const settings = page.locator('details', { hasText: 'Configuration: differences' });
    const differing = await settings.locator('tbody tr').allTextContents();
    assert.deepEqual(differing.sort(), ['depth.method"pld""dense"', 'train.microBatchSize84']);
    assert.equal(await page.locator('.heat-map').count(), 2);
    await page.reload();
    await page.locator('.compared table').first().waitFor(); // the address holds the whole view
    await page.close();
  });

  test('a page that was opened before the first step fills itself', async () => {
    mkdirSync(at('runs/young'));
    cpSync(at('runs/pld/config.json'), at('runs/young/config.json'));
    writeFileSync(at('runs/young/metrics.jsonl'), '');
    const page = await open('#run=young');
    await page.getByText('No steps yet').waitFor();
    const [first, ...others] = linesOf(at('runs/pld')).filter(({ type }) => type === 'step');
    appendFileSync(at('runs/young/metrics.jsonl'), `${JSON.stringify(first)}\n`);
    await page.locator('.heat-map canvas').waitFor();
    appendFileSync(at('runs/young/metrics.jsonl'), others.map((line) => `${JSON.stringify(line)}\n`).join(''));
    await page.locator('[data-chart="Training loss"][data-points="30"]').waitFor();
    const widths = await page.evaluate(
      "[...document.querySelectorAll('.heat-map canvas, .heat-map-canvas')].map((e) => e.clientWidth)",
    );
    const [place, canvas] = widths as [number, number];
    assert.ok(Math.abs(place - canvas) <= 1 && canvas !== 600, `${widths}`);
    await page.close();
    rmSync(at('runs/young'), { recursive: true });
  });

  test('without a run in its address, the page opens on the live run, otherwise on the newest, and follows it', async () => {
    const page = await open('');
    const shown = (name: string) => page.locator('.run-facts h2', { hasText: name }).waitFor();
    await shown('live'); // the last that was started; it has been stopped
    cpSync(at('runs/pld'), at('runs/next'), { recursive: true });
    await shown('next');
    const words = ['pretrain', 'tiny.yaml', '--out', 'runs/live', '--resume', '--quiet', '--set', 'train.steps=100000'];
    const { child, ended } = start(words, { cwd: folder });
    running.push(child);
    while (isBeingTrained(at('runs/live')) === false) await page.waitForTimeout(50);
    cpSync(at('runs/pld'), at('runs/newer'), { recursive: true });
    await page.locator('.runs .name', { hasText: 'newer' }).waitFor();
    await shown('live');
    child.kill('SIGKILL');
    await ended;
    await page.close();
    for (const name of ['next', 'newer']) rmSync(at(`runs/${name}`), { recursive: true });
  });

  test('the keys find a run, choose it, skip the list, and read the values of a chart', async () => {
    const page = await open('#run=pld');
    const focus = page.locator(':focus');
    await page.locator('.run-facts').waitFor();
    await page.keyboard.press('Tab');
    assert.equal(await focus.textContent(), 'Skip to the run');
    await page.keyboard.press('Enter');
    assert.equal(await focus.evaluate((element) => element.tagName), 'MAIN');
    await page.keyboard.press('/');
    await page.keyboard.type('dense done');
    assert.deepEqual(await page.locator('.runs .name').allTextContents(), ['dense: train']);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.locator('.run-facts h2', { hasText: 'dense' }).waitFor();
    await page.getByLabel('search runs').fill('done');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Home');
    const names = await page.locator('.runs .name').allTextContents();
    assert.ok((await focus.textContent())!.startsWith(names[0]!));
    await page.keyboard.press('ArrowDown');
    assert.ok((await focus.textContent())!.startsWith(names[1]!));
    const outline = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle');
    assert.equal(outline, 'solid');
    await page.keyboard.press('Tab');
    const isInList = await focus.evaluate((element) => element.closest('.runs') !== null);
    assert.equal(isInList, false, 'the list is one stop');

    const chart = page.locator('[data-chart="Held-out loss"]');
    const evaluations = linesOf(at('runs/dense')).filter(({ type }) => type === 'eval');
    const reads = ({ step, loss }: Line) =>
      chart.getByText(new RegExp(`after ${step} steps:.*${(loss as number).toFixed(3)}`)).waitFor();
    await reads(evaluations.at(-1)!);
    await chart.getByRole('slider').focus();
    await page.keyboard.press('Home');
    for (const evaluation of evaluations) {
      await reads(evaluation);
      await page.keyboard.press('ArrowRight');
    }
    await page.keyboard.press('ArrowLeft');
    await reads(evaluations.at(-2)!);
    await page.keyboard.press('Escape');
    await reads(evaluations.at(-1)!);
    await page.close();
  });

  test('an empty folder and a search without results say what to do', async () => {
    const page = await open('#run=pld');
    await page.getByLabel('search runs').fill('nothing like it');
    await page.getByText('No run matches').waitFor();
    await page.getByRole('button', { name: 'Show all' }).click();
    await page.locator('.runs .name', { hasText: 'pld' }).waitFor();
    await page.close();
    mkdirSync(at('none'));
    const { url: none } = await dashboard('none', '--port', '0');
    const empty = await openPage(browser, none, problems);
    await empty.getByText('No runs in this folder yet').waitFor();
    await empty.getByText('npx taper-lm pretrain configs/encoder.yaml --data my/texts --out runs/mine').waitFor();
    await empty.close();
  });

  test('the page says that it is loading until the runs arrive', async () => {
    const page = await browser.newPage();
    await page.route('**/api/events*', async (route) => {
      await page.waitForTimeout(500);
      await route.continue();
    });
    await page.goto(url);
    await page.getByText('loading the runs…').waitFor();
    await page.locator('.run-facts').waitFor();
    assert.equal(await page.getByText('loading the runs…').count(), 0);
    await page.close();
  });

  test('a fine-tuned model is listed under its run with its score, and shown with all of them', async () => {
    const rows = sentences(40, 5).trim().split('. ');
    const labelled = rows.map((text) => `${text},${/^The (cat|dog)/.test(text) ? 'pet' : 'other'}\n`).join('');
    writeFileSync(at('pets.csv'), `text,label\n${labelled}`);
    const words = ['--train', 'pets.csv', '--dev', 'pets.csv', '--text', 'text', '--epochs', '2', '--threads', '1'];
    const { stdout } = await done('finetune', 'runs/pld', ...words, '--out', 'runs/pets', '--json');
    const { seeds } = JSON.parse(stdout) as { seeds: { devs: { scores: { accuracy: number } }[] }[] };
    const accuracy = `accuracy ${(100 * seeds[0]!.devs[0]!.scores.accuracy).toFixed(1)} %`;
    const page = await open('#run=pld');
    const item = page.locator('ul[aria-label="fine-tuned from pld"] button');
    await item.waitFor();
    assert.match((await item.textContent())!, new RegExp(`^pets.*${accuracy}`));
    await page.locator('main').getByRole('button', { name: 'pets' }).click();
    await page.locator('.run-facts h2', { hasText: 'pets' }).waitFor();
    const main = (await page.locator('main').textContent())!;
    assert.match(main, /pets\.csv, 40 training examples, from pld\. Labels: other, pet/);
    assert.match(main, /npx taper-lm finetune runs\/pld --train pets\.csv/);
    assert.match(main, /npx taper-lm predict runs\/pets/);
    await page.locator('[data-chart="Score after each epoch"][data-points="2"]').waitFor();
    await page.locator('main').getByRole('button', { name: 'pld' }).click();
    await page.locator('.run-facts h2', { hasText: 'pld' }).waitFor();
    await page.close();
    await done('report', 'runs/pld', 'runs/pets', '-o', 'pets.html');
    const report = readFileSync(at('pets.html'), 'utf8');
    for (const part of ['<h2 id="fine-tuned-models">', accuracy.slice(9), 'npx taper-lm finetune runs/pld'])
      assert.ok(report.includes(part), part);
  });

  test('lines that are broken are counted, and the others shown', async () => {
    cpSync(at('runs/pld'), at('runs/broken'), { recursive: true });
    appendFileSync(at('runs/broken/metrics.jsonl'), '{"type":"step","ste\n[]\nnull\n{"type":"step","step":31}\n');
    const page = await open('#run=broken');
    await page.getByText("4 lines of this run's files could not be read").waitFor();
    assert.equal(await page.locator('[data-chart="Training loss"]').getAttribute('data-points'), '30');
    await page.getByLabel('overlay pld').check();
    appendFileSync(at('runs/broken/config.json'), 'x');
    await page.locator('.runs .state.broken').waitFor();
    await page.getByText(/^broken: .*config\.json/).waitFor();
    await page.locator('.run-facts h2', { hasText: 'pld' }).waitFor();
    await page.close();
    rmSync(at('runs/broken'), { recursive: true });
  });

  test('it fits a phone, and shows filled texts over the run, settings and the log', async () => {
    const page = await open('#run=pld', 360);
    await page.locator('.examples mark').first().waitFor();
    const wider = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
    assert.ok((wider as number) <= 0, `${wider} pixels too wide`);
    const [first] = (linesOf(at('runs/pld')).findLast(({ type }) => type === 'eval')!.examples as {
      before: string;
      right: string;
      after: string;
    }[])!;
    const { before, right, after } = first!;
    const table = page.locator('.examples').first();
    assert.equal(await table.locator('tbody th').first().textContent(), `${before}${right}${after}`);
    assert.deepEqual(await table.locator('thead th').allTextContents(), ['sentence', '0', '10', '20', '30']);
    const isFirst = await page.evaluate(
      "document.querySelector('.examples').compareDocumentPosition(document.querySelector('.chart')) & 4",
    );
    assert.equal(isFirst, 4, 'before the charts');
    await page.getByText(/^Log of pld/).click();
    assert.match(
      (await page.locator('.log').textContent())!,
      /end: done.*taper-lm pretrain tiny\.yaml --out runs\/pld/s,
    );
    await page.close();
  });

  test('nothing was complained of, and nobody else was asked', () => {
    assert.deepEqual(problems, []);
  });
});
