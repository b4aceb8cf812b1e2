// cspell:ignore abcdefé
// Exported folders in Python's transformers, where that is installed: TAPER_PYTHON names a Python that has it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { TextTokenizer } from '../src/data/index.ts';
import { commandsIn, writeTiny } from './cli.fixture.ts';

const python = process.env.TAPER_PYTHON ?? 'python3';
const hasTransformers = spawnSync(python, ['-c', 'import torch, transformers']).status === 0;
const skip = !hasTransformers && `${python} has no transformers and torch`;
const text = 'the queen [MASK] the dog in the [MASK].';
const folder = mkdtempSync(join(tmpdir(), 'taper-transformers-'));
const at = (path: string) => join(folder, path);
const { done } = commandsIn(folder);

// Prints, of a folder and a class of models, the names that are missing or left over, and the probabilities at each mask.
const script = `
import json, sys, torch, transformers
folder, kind, text = sys.argv[1:]
model, info = getattr(transformers, kind).from_pretrained(folder, output_loading_info=True)
odd = [name for key in ('missing_keys', 'unexpected_keys', 'mismatched_keys') for name in info[key]]
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
masks = []
if text:
    inputs = tokenizer(text, return_tensors='pt')
    with torch.no_grad():
        output = model.eval()(**inputs)
    probabilities = output.prediction_logits[0].softmax(-1)
    at = (inputs.input_ids[0] == tokenizer.mask_token_id).nonzero()[:, 0]
    masks = [{tokenizer.convert_ids_to_tokens(i): p for i, p in enumerate(row.tolist())} for row in probabilities[at]]
print(json.dumps({'kind': type(model).__name__, 'odd': odd, 'masks': masks}))
`;

// Saves models and tokenizers as save_pretrained does, and prints the ids of two texts.
const saving = `
import json, os, sys, transformers as hf
root, ids = sys.argv[1], {}
tokens = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'] + [m + c for c in 'abcdefé' for m in ('', '##')]
symbols = [chr(b) if 32 < b < 127 or b > 160 and b != 173 else chr(400 + b) for b in range(256)]
letters = {c: i for i, c in enumerate(['<|endoftext|>', 'Ġ'] + symbols)}
def save(name, model, make, vocab, **settings):
    os.makedirs(root + '/files', exist_ok=True)
    for file, text in vocab.items():
        with open(root + '/files/' + file, 'w') as f:
            f.write(text)
    tokenizer = make.from_pretrained(root + '/files', **settings)
    tokenizer.add_tokens(['<user>'])
    for part in (model(len(tokenizer)), tokenizer):
        part.save_pretrained(root + '/' + name)
    ids[name] = hf.AutoTokenizer.from_pretrained(root + '/' + name)(['Café <user> [MASK] b', 'abc <pad>'], add_special_tokens=False)['input_ids']
bert = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
lines = {'vocab.txt': chr(10).join(tokens)}
save('bert', lambda n: hf.BertForPreTraining(hf.BertConfig(vocab_size=n, **bert)), hf.BertTokenizerFast, lines, strip_accents=False)
three = lambda n: hf.MegatronBertForSequenceClassification(hf.MegatronBertConfig(vocab_size=n, num_labels=3, **bert))
save('megatron', three, hf.BertTokenizerFast, lines, do_lower_case=False, strip_accents=True)
gpt = lambda n: hf.GPT2LMHeadModel(hf.GPT2Config(vocab_size=n, n_embd=16, n_layer=1, n_head=2))
save('gpt', gpt, hf.GPT2TokenizerFast, {'vocab.json': json.dumps(letters), 'merges.txt': '#version: 0.2'}, add_prefix_space=True, pad_token='<pad>')
print(json.dumps(ids))
`;

function opened(path: string, kind: string, given = '') {
  const { status, stdout, stderr } = spawnSync(python, ['-c', script, path, kind, given], {
    cwd: folder,
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as { kind: string; odd: string[]; masks: Record<string, number>[] };
}

describe("Python's transformers", { skip, timeout: 300_000 }, () => {
  before(() => writeTiny(folder));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const sets = ['train.steps=40', 'train.precision=fp32', 'train.peakLearningRate=5e-3'];

  for (const [norm, kind] of [
    ['pre', 'MegatronBert'],
    ['post', 'Bert'],
  ] as const) {
    test(`opens a ${norm}-norm BERT, and fills masks as taper does`, async () => {
      await done('pretrain', 'tiny.yaml', '--out', norm, '--set', `model.norm=${norm}`, ...sets);
      await done('export', norm, '--to', 'hf', '--out', `${norm}-out`);
      await done('export', norm, '--to', 'hf', '--out', `${norm}-encoder`, '--encoder-only');
      const whole = opened(`${norm}-out`, 'AutoModelForPreTraining', text);
      assert.deepEqual([whole.kind, whole.odd], [`${kind}ForPreTraining`, []]);
      const encoder = opened(`${norm}-encoder`, 'AutoModel');
      assert.deepEqual([encoder.kind, encoder.odd], [`${kind}Model`, []]);
      const { masks } = JSON.parse((await done('fill', norm, text, '--json')).stdout) as {
        masks: { token: string; probability: number }[][];
      };
      for (const [i, likeliest] of masks.entries()) {
        for (const { token, probability } of likeliest) {
          const theirs = whole.masks[i]![token]!;
          assert.ok(Math.abs(theirs - probability) < 1e-5, `${token}: ${probability} here, ${theirs} there`);
        }
      }
    });
  }

  test('writes folders that are imported, with its ids', async () => {
    const { status, stdout, stderr } = spawnSync(python, ['-c', saving, at('saved')], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    const saved = JSON.parse(stdout) as Record<string, number[][]>;
    assert.equal(Object.keys(saved).length, 3);
    for (const [name, ids] of Object.entries(saved)) {
      await done('import', `saved/${name}`, '--out', `${name}-in`);
      const tokenizer = TextTokenizer.fromFile(at(`${name}-in/tokenizer.json`));
      const encoded = await tokenizer.encodeBatch(['Caf\u00e9 <user> [MASK] b', 'abc <pad>']);
      assert.deepEqual(
        encoded.map((list) => [...list]),
        ids,
        name,
      );
    }
  });

  test('opens a GPT', async () => {
    const gpt = ['model.kind=gpt2', 'data.objective=clm', 'model.vocabSize=300'];
    await done('pretrain', 'tiny.yaml', '--out', 'gpt', '--set', ...gpt);
    await done('export', 'gpt', '--to', 'hf', '--out', 'gpt-out');
    const { kind, odd } = opened('gpt-out', 'AutoModelForCausalLM');
    assert.deepEqual([kind, odd], ['GPT2LMHeadModel', []]);
  });
});
