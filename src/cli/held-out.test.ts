import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { untrained } from '../checkpoints/untrained.fixture.ts';
import { wordTokenizer } from '../data/fixtures.ts';
import { liveTensors } from '../tensor/index.ts';
import { tinyConfig } from '../train/tiny.fixture.ts';
import { openHeldOut } from './held-out.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-held-out-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('a model with a held-out text frees its weights when it is disposed, and if there is no text', async () => {
  const tokenizer = wordTokenizer(50);
  const config = tinyConfig({
    model: { vocabSize: tokenizer.vocabSize },
    data: { objective: 'mlm', cache: join(folder, 'cache') },
  });
  const { path } = untrained(join(folder, 'run'), config, tokenizer.json);
  const text = join(folder, 'text.txt');
  writeFileSync(text, `${Array.from({ length: 2000 }, (_, i) => `w${i % 50}`).join(' ')}\n`);
  const before = liveTensors();
  const open = (name: string) => openHeldOut(path, { data: [name], limit: 4, device: 'cpu' });
  {
    using heldOut = await open(text);
    assert.ok(liveTensors() > before);
    assert.ok([...heldOut.batches()].length > 0);
  }
  assert.equal(liveTensors(), before);
  await assert.rejects(open(join(folder, 'none.txt')), /none\.txt/);
  assert.equal(liveTensors(), before);
});
