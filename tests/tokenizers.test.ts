// Exported tokenizers in the programs that they are for. transformers.js is a development dependency; TAPER_PYTHON names a Python that
// has transformers; TAPER_LINES says how many lines of mixed scripts each tokenizer is tried on.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { AutoTokenizer, env } from '@huggingface/transformers';
import { Tokenizer } from 'tokenizers';
import { writeCheckpoint } from '../src/checkpoints/index.ts';
import { TextTokenizer } from '../src/data/index.ts';
import { exportHuggingFace, exportOnnx, openOutgoing } from '../src/interop/index.ts';
import { readTokenizer } from '../src/interop/read-tokenizer.ts';
import type { ModelConfig } from '../src/model/index.ts';
import { scope } from '../src/tensor/index.ts';
import { tinyConfig, tinyState } from '../src/train/tiny.fixture.ts';
import { mixedLines, tokenizerKinds } from './tokenizers.fixture.ts';

const numLines = Number(process.env.TAPER_LINES ?? 200);
const numPairs = Math.min(200, numLines / 2);
const lines = mixedLines(numLines, 5);
const kinds = tokenizerKinds();
const folder = mkdtempSync(join(tmpdir(), 'taper-tokenizers-'));
const at = (path: string) => join(folder, path);
const python = process.env.TAPER_PYTHON ?? 'python3';
const hasTransformers = spawnSync(python, ['-c', 'import transformers']).status === 0;

env.allowRemoteModels = false;
env.localModelPath = `${folder}/`;

/** What taper makes of the lines: ids, pairs of the first lines with the next as a model gets them, and texts of ids. */
interface Encoded {
  ids: number[][];
  pairs: number[][];
  types: number[][];
  texts: string[];
}
const encoded = new Map<string, Encoded>();

async function encode(json: string): Promise<Encoded> {
  const tokenizer = TextTokenizer.fromJson(json);
  const { kind, clsId, sepId } = tokenizer;
  const ids = (await tokenizer.encodeBatch(lines)).map((list) => [...list]);
  const couples = ids.slice(0, numPairs).map((a, i) => [a, ids[numPairs + i]!] as const);
  const isBert = kind === 'bert';
  return {
    ids,
    pairs: couples.map(([a, b]) => (isBert ? [clsId, ...a, sepId, ...b, sepId] : [...a, ...b])),
    types: couples.map(([a, b]) => (isBert ? [...a.map(() => 0), 0, 0, ...b.map(() => 1), 1] : [])),
    texts: ids.map((list) => tokenizer.decode(list)),
  };
}

/** The library itself on whole texts. */
async function wholeTexts(json: string, texts: string[]): Promise<number[][]> {
  const library = Tokenizer.fromString(json);
  library.disableTruncation();
  library.disablePadding();
  return (await library.encodeBatch(texts, { addSpecialTokens: false })).map((encoding) => encoding.getIds());
}

before(async () => {
  for (const [name, json] of Object.entries(kinds)) {
    const { kind, vocabSize } = TextTokenizer.fromJson(json);
    const config = tinyConfig({ model: { kind, vocabSize }, data: { objective: kind === 'bert' ? 'mlm' : 'clm' } });
    scope(() => {
      const progress = { step: 1, samples: 4, tokens: 9, nonFiniteSteps: 0, textHash: 'x' };
      writeCheckpoint(at(`${name}-in`), { config, progress, weights: tinyState(config).masters, tokenizerJson: json });
      exportHuggingFace(openOutgoing(at(`${name}-in`), assert.fail), at(name), { encoderOnly: true });
    });
    encoded.set(name, await encode(json));
  }
});
after(() => rmSync(folder, { recursive: true, force: true }));

describe('a tokenizer gives the ids of the library that reads whole texts:', () => {
  for (const [name, json] of Object.entries(kinds)) {
    test(name, async () => {
      const theirs = await wholeTexts(json, lines);
      for (const [i, line] of lines.entries()) {
        assert.deepEqual(encoded.get(name)!.ids[i], theirs[i], JSON.stringify(line));
      }
    });
  }
});

test('a GPT tokenizer does not cut at characters that are letters only in newer versions of Unicode', async () => {
  const points = [0x88f, 0xc5c, 0xa7d2, 0x10940, 0x11db0, 0x16ea0, 0x18d80, 0x1e6c0, 0x323b0];
  const texts = points.map((point) => String.fromCodePoint(point)).map((c) => `a.${c}.1${c}1 ${c}.`);
  const ids = await TextTokenizer.fromJson(kinds.gpt!).encodeBatch(texts);
  assert.deepEqual(
    ids.map((list) => [...list]),
    await wholeTexts(kinds.gpt!, texts),
  );
});

/**
 * transformers.js has the library's parts written anew. Lines are left out that hold a character for which the two differ with the
 * same tokenizer.json: ideographs beyond U+FFFF, letters and marks of newer versions of Unicode, Σ where it is lower-cased, U+0085 and
 * U+FEFF as white space, marks beside marks, and letters outside of ASCII where `Whitespace` or `Digits` cut. It also finds added
 * tokens of a single word inside of others, and unnormalised ones in what a text is normalised to, and it writes normalised ones as
 * they are, not as they are normalised. `least` is the share of lines that are left.
 */
const inJavaScript: Record<string, { least: number }> = {
  notCleaned: { least: 0.4 },
  addedTokens: { least: 0.45 },
  addedTokensCased: { least: 0.45 },
  gptAddedTokens: { least: 0.45 },
  whitespace: { least: 0.2 },
  spacesMarksAndDigits: { least: 0.15 },
};
const foundInJavaScriptAlone = /taper|<User>/;
const normalizedTokens = /[eé]1|<guest>/i;

describe('transformers.js gives the ids, the types and the texts of taper:', () => {
  for (const [name, json] of Object.entries(kinds)) {
    test(name, async () => {
      const { ids, pairs, types, texts } = encoded.get(name)!;
      const tokenizer = await AutoTokenizer.from_pretrained(name);
      const odd = await oddCharacters(json, (text) => tokenizer.encode(text, { add_special_tokens: false }));
      const { least } = inJavaScript[name] ?? { least: 0.55 };
      const hasAdded = /addedTokens/i.test(name);
      const isPlain = lines.map(
        (line) =>
          ![...line].some((character) => odd.has(character)) && !(hasAdded && foundInJavaScriptAlone.test(line)),
      );
      const counted = isPlain.filter(Boolean).length;
      assert.ok(counted >= least * lines.length, `${counted} of ${lines.length} lines have no odd character`);
      for (const [i, line] of lines.entries()) {
        if (!isPlain[i]) continue;
        assert.deepEqual(tokenizer.encode(line, { add_special_tokens: false }), ids[i], JSON.stringify(line));
        const isWritten = ids[i]!.length > 0 && !(hasAdded && normalizedTokens.test(line + texts[i]));
        if (isWritten) assert.equal(tokenizer.decode(ids[i]!, { skip_special_tokens: true }), texts[i]);
        const second = numPairs + i;
        if (i >= numPairs || !isPlain[second] || types[i]!.length === 0) continue;
        // BertTokenizer alone gives the types unasked.
        const isPlainBert = tokenizer.config.tokenizer_class === 'BertTokenizer';
        const asked = isPlainBert ? {} : { return_token_type_ids: true };
        const pair = tokenizer(line, { text_pair: lines[second]!, return_tensor: false, ...asked });
        assert.deepEqual([pair.input_ids, pair.token_type_ids], [pairs[i], types[i]]);
      }
    });
  }
});

/** The characters on which a JavaScript tokenizer and the library differ, alone between others. */
async function oddCharacters(json: string, encodeOne: (text: string) => number[]): Promise<Set<string>> {
  const characters = [...new Set(lines.join(''))];
  const texts = characters.map((character) => `a${character}a.${character}1 ${character}`);
  const theirs = await wholeTexts(json, texts);
  return new Set(characters.filter((_, i) => String(encodeOne(texts[i]!)) !== String(theirs[i])));
}

// Prints, for each folder, how many lines, pairs and texts AutoTokenizer gives otherwise than taper.
const script = `
import json, sys
from transformers import AutoTokenizer
root = sys.argv[1]
given = json.load(open(root + '/encoded.json'))
lines, n = given['lines'], given['numPairs']
result = {}
for name, ours in given['kinds'].items():
    t = AutoTokenizer.from_pretrained(root + '/' + name)
    ids = t(lines, add_special_tokens=False)['input_ids']
    pairs = t(lines[:n], lines[n:2 * n])
    types = pairs.get('token_type_ids', [[]] * n)
    texts = [t.decode(i, skip_special_tokens=True) for i in ours['ids']]
    count = lambda found, expected: sum(a != b for a, b in zip(found, expected, strict=True))
    result[name] = [count(ids, ours['ids']), count(pairs['input_ids'], ours['pairs']), count(types, ours['types']), count(texts, ours['texts'])]
print(json.dumps(result))
`;

const skip = !hasTransformers && `${python} has no transformers`;
test("Python's AutoTokenizer gives the ids, the types and the texts of taper", { skip, timeout: 300_000 }, () => {
  writeFileSync(at('encoded.json'), JSON.stringify({ lines, numPairs, kinds: Object.fromEntries(encoded) }));
  const { status, stdout, stderr } = spawnSync(python, ['-c', script, folder], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const differences = JSON.parse(stdout) as Record<string, number[]>;
  assert.deepEqual(differences, Object.fromEntries(Object.keys(kinds).map((name) => [name, [0, 0, 0, 0]])));
});

test('an ONNX export has the same tokenizer files', () => {
  for (const name of ['keepsAccents', 'nfkc']) {
    scope(() => exportOnnx(openOutgoing(at(`${name}-in`), assert.fail), at(`${name}-onnx`), { encoderOnly: true }));
    for (const file of ['tokenizer.json', 'tokenizer_config.json']) {
      assert.equal(readFileSync(at(`${name}-onnx/${file}`), 'utf8'), readFileSync(at(`${name}/${file}`), 'utf8'));
    }
  }
});

test('an exported tokenizer comes back as it was', () => {
  for (const [name, json] of Object.entries(kinds)) {
    const { kind, vocabSize } = TextTokenizer.fromJson(json);
    const model = { kind, vocabSize } as ModelConfig;
    assert.equal(readTokenizer(at(name), model, assert.fail).json, json, name);
  }
});
