// Runs every command and program of the worked examples in docs/, unchanged, on small data.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { noBrowser, openBrowser, openPage, serveFiles } from './browser.fixture.ts';
import { sentences, taper } from './cli.fixture.ts';
import { noLlamaCpp, openLlama } from './llama-cpp.fixture.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'taper-example-'));

/** What trains a model of the recommended configurations in seconds; the last `--set` of a command counts. */
const small = { layers: 2, hiddenSize: 64, heads: 2, ffnSize: 96, vocabSize: 200 };
const quick = [
  ...Object.entries(small).map(([key, value]) => `model.${key}=${value}`),
  'data.sequenceLength=24',
  ...['steps=60', 'batchSize=8', 'microBatchSize=8', 'warmupRatio=0.1'].map((set) => `train.${set}`),
];

/** A page, in a folder of its own, where everything that it installs is there. */
function example(name: string) {
  const cwd = join(folder, name);
  mkdirSync(cwd);
  symlinkSync(join(root, 'node_modules'), join(cwd, 'node_modules'));
  const text = readFileSync(join(root, 'docs', `${name}.md`), 'utf8');
  const commands = [...text.matchAll(/^ {4}(npx taper-lm|node|mkdir|cp) (.+)$/gm)].map(
    ([, program, words]) => [program!, words!] as const,
  );
  return {
    cwd,
    at: (path: string) => join(cwd, path),
    block: (language: string) => new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(text)![1]!,
    /** Runs its commands in their order, those that plan and pre-train with smaller settings; what the last of them said. */
    async run(settings: readonly string[] = []): Promise<string> {
      let said = '';
      for (const [program, words] of commands) {
        const isTaper = program === 'npx taper-lm';
        const trains = /^(plan|pretrain)(?!.*--resume)/.test(words) && settings.length > 0;
        const { code, stdout, stderr } = isTaper
          ? await taper(
              [...wordsOf(words).map((word) => downloaded[word] ?? word), ...(trains ? ['--set', ...settings] : [])],
              { cwd },
            )
          : shell(`${program} ${words}`, cwd);
        assert.equal(code, 0, `${program} ${words}\n${stderr}`);
        said = stdout;
      }
      return said;
    },
  };
}

/** Models on the Hub, and the folders that stand for them. */
const downloaded: Record<string, string> = { 'hf:jhu-clsp/ettin-encoder-17m': 'downloads/ettin' };

/** The words of a command line, quoted ones whole. */
const wordsOf = (command: string) =>
  [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word!);

function shell(command: string, cwd: string) {
  const { status, stdout, stderr } = spawnSync('sh', ['-c', command], { cwd, encoding: 'utf8' });
  return { code: status, stdout, stderr };
}

after(() => rmSync(folder, { recursive: true, force: true }));

describe('worked examples', { concurrency: 2 }, () => {
  test('from a folder of text to a classifier in transformers.js', async () => {
    const { at, block, run, cwd } = example('from-text-to-classifier');
    mkdirSync(at('my/texts'), { recursive: true });
    mkdirSync(at('downloads'));
    for (const name of ['a', 'b']) writeFileSync(at(`my/texts/${name}.txt`), sentences(300, name.charCodeAt(0)));
    cpSync(join(root, 'tests/fixtures/hugging-face/bert'), at('downloads/ettin'), { recursive: true });
    // As on the page, except for its size.
    const smaller = { layers: 2, hiddenSize: 64, vocabSize: 200, sequenceLength: 12, steps: 30, batchSize: 8 };
    const config = Object.entries(smaller).reduce(
      (yaml, [key, value]) => yaml.replace(new RegExp(`${key}: \\d+`), `${key}: ${value}`),
      block('yaml'),
    );
    writeFileSync(at('domain.yaml'), config);
    const rows = sentences(200, 5).split('. ').filter(Boolean);
    const csv = (some: readonly string[]) =>
      `text,label\n${some.map((row) => `"${row}.",${/^The (cat|dog|bird)/.test(row) ? 'animal' : 'other'}\n`).join('')}`;
    assert.match(block('csv'), /^text,label\n"/);
    writeFileSync(at('examples.csv'), csv(rows.slice(0, 150)));
    writeFileSync(at('examples-dev.csv'), csv(rows.slice(150)));
    await run();
    assert.ok(existsSync(at('exported/classifier/onnx/model_quantized.onnx')));
    writeFileSync(at('use.mjs'), block('js'));
    const { code, stdout, stderr } = shell('node use.mjs', cwd);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /label: '(animal|other)'/);
    const likeness = Number(stdout.trim().split('\n').at(-1));
    assert.ok(likeness > 0.2 && likeness <= 1, stdout);
  });

  test('semantic search over docs in the browser', { skip: noBrowser }, async () => {
    const { at, block, run } = example('search-in-the-browser');
    mkdirSync(at('my/docs'), { recursive: true });
    const titles = ['cats', 'dogs', 'ships', 'towers'];
    for (const [i, title] of titles.entries()) {
      const sections = sentences(40, i + 1)
        .split('. ')
        .filter(Boolean);
      const lines = sections.map((section) => `## ${section.slice(0, 18)}\n\n${section} near the ${title}.\n`);
      writeFileSync(at(`my/docs/${title}.md`), `# All about ${title}\n\n${lines.join('\n')}`);
    }
    writeFileSync(at('passages.mjs'), block('js'));
    await run(quick);
    writeFileSync(at('site/index.html'), block('html'));
    const passages = readFileSync(at('passages.jsonl'), 'utf8').trim().split('\n');
    assert.ok(passages.length > 150 && passages.length <= 160, `${passages.length}`);
    const { title, body, page: file } = JSON.parse(passages[77]!) as Record<string, string>;
    const server = await serveFiles(at('site'));
    const browser = await openBrowser();
    try {
      const problems: string[] = [];
      const page = await openPage(browser, server.url, problems);
      await page.locator('#query:enabled').fill(body!);
      await page.locator('#found li').first().waitFor();
      const found = await page.locator('#found li').allTextContents();
      assert.equal(found.length, 5);
      // The passage itself, whose vector was made in float32, or one that says the same.
      assert.match(found[0]!, /, (0\.9\d|1\.00)\)$/);
      assert.ok(
        found.some((line) => line.startsWith(`${title} (${file}, `)),
        found.join('\n'),
      );
      assert.deepEqual(
        problems.filter((problem) => !/adapters|404/.test(problem)),
        [],
      );
    } finally {
      await browser.close();
      server.close();
    }
  });

  test('entities in mails', async () => {
    const { at, block, run } = example('entities-in-mails');
    mkdirSync(at('my/mails'), { recursive: true });
    const mails = sentences(160, 7).split('. ').filter(Boolean);
    for (let i = 0; i < 4; i++) writeFileSync(at(`my/mails/${i}.txt`), mails.slice(20 * i, 20 * i + 20).join('.\n'));
    const place = (text: string) => /(?<=in the )\w+$/.exec(text)!;
    const marked = mails.map((text) => {
      const { index, 0: word } = place(text);
      return { text, spans: [{ start: index, end: index + word.length, label: 'PLACE' }] };
    });
    for (const { text, spans } of [JSON.parse(block('json')) as (typeof marked)[number]]) {
      assert.deepEqual(
        spans.map(({ start, end }) => text.slice(start, end)),
        ['Anna', 'Mr Smith', 'Leeds'],
      );
    }
    writeFileSync(at('marked.jsonl'), marked.map((line) => `${JSON.stringify(line)}\n`).join(''));
    writeFileSync(at('entities.mjs'), block('js'));
    const lines = (await run(quick)).trim().split('\n');
    assert.equal(lines.length, 80);
    const right = lines.filter((line, i) => line.endsWith(` PLACE ${place(mails[i]!)[0]}`));
    assert.ok(right.length > 70, lines.slice(0, 10).join('\n'));
  });

  test('a tiny story writer in llama.cpp', { skip: noLlamaCpp }, async () => {
    const { at, run } = example('story-writer');
    mkdirSync(at('my/stories'), { recursive: true });
    for (const name of ['a', 'b']) writeFileSync(at(`my/stories/${name}.txt`), sentences(300, name.charCodeAt(0)));
    await run([...quick, 'model.keyValueHeads=1', 'model.vocabSize=300', 'train.peakLearningRate=0.003']);
    await using llama = await openLlama(at('exported/stories/model-q8_0.gguf'));
    const ids = llama.tokens('The cat sees');
    const [the] = llama.tokens(' the');
    const [next] = await llama.logits(ids, ids.length - 1);
    assert.equal(next!.indexOf(Math.max(...next!)), the, 'every sentence continues so');
  });
});
