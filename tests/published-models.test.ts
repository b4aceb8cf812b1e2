// Models of today as they are published, used here and in Python's transformers, where that is installed: TAPER_PYTHON names a Python
// that has it. Their tokenizers are those of tests/fixtures/published_tokenizers.py.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { TextTokenizer } from '../src/data/index.ts';
import { commandsIn } from './cli.fixture.ts';

const python = process.env.TAPER_PYTHON ?? 'python3';
const hasTransformers = spawnSync(python, ['-c', 'import torch, transformers']).status === 0;
const skip = !hasTransformers && `${python} has no transformers and torch`;
const fixture = fileURLToPath(new URL('../../tests/fixtures/hugging-face/published.json', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'taper-published-models-'));
const { done } = commandsIn(folder);

const prompts = ['ab abc', 'caf\u00e9 123\n 1'];
const masked = 'ab [MASK] abc[MASK], \u4e2d';

interface Saved {
  /** What follows each prompt, by the likeliest tokens. */
  texts: string[];
  /** The probabilities of all tokens at each mask, by their numbers. */
  masks: number[][];
}

// Saves tiny models with the tokenizers, and prints by folder what they write.
const saving = `
import json, os, sys, torch, transformers as hf
root, fixture, prompts, masked = sys.argv[1], json.load(open(sys.argv[2])), json.loads(sys.argv[3]), sys.argv[4]
hf.logging.set_verbosity_error()
result = {}
for case in fixture['cases']:
    name = case['name'].replace(' ', '-')
    folder, kind = root + '/' + name, case['files']['config.json']['model_type']
    torch.manual_seed(7)
    size = case['size'] + (-case['size'] % 64)
    sizes = dict(vocab_size=size, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, max_position_embeddings=64, initializer_range=0.3)
    if kind == 'modernbert':
        model = hf.ModernBertForMaskedLM(hf.ModernBertConfig(pad_token_id=0, bos_token_id=0, eos_token_id=0, cls_token_id=0, sep_token_id=0, **sizes))
    elif kind == 'roberta':
        model = hf.RobertaForMaskedLM(hf.RobertaConfig(type_vocab_size=1, **{**sizes, 'max_position_embeddings': 66}))
    elif kind == 'distilbert':
        model = hf.DistilBertForMaskedLM(hf.DistilBertConfig(vocab_size=size, dim=32, n_layers=2, n_heads=4, hidden_dim=48, max_position_embeddings=64, initializer_range=0.3))
    elif kind == 'qwen3':
        model = hf.Qwen3ForCausalLM(hf.Qwen3Config(num_key_value_heads=2, head_dim=8, tie_word_embeddings=True, **sizes))
    else:
        model = hf.LlamaForCausalLM(hf.LlamaConfig(num_key_value_heads=2, tie_word_embeddings=name == 'SmolLM2', **sizes))
    for norm in model.modules():
        if isinstance(norm, torch.nn.LayerNorm):
            norm.weight.data.normal_(1, 0.3)
            norm.bias is None or norm.bias.data.normal_(0, 0.3)
    if name == 'TinyLlama':
        # A broken run of bytes is decoded otherwise as a whole than as it comes.
        model.lm_head.weight.data[:259] = 0
    model.eval().save_pretrained(folder)
    files = dict(case['files'])
    del files['config.json']
    for file, content in files.items():
        json.dump(content, open(folder + '/' + file, 'w'))
    tokenizer = hf.PreTrainedTokenizerFast.from_pretrained(folder) if name in ('SmolLM2', 'TinyLlama') else hf.AutoTokenizer.from_pretrained(folder)
    texts, masks = [], []
    with torch.no_grad():
        if tokenizer.mask_token is not None:
            inputs = tokenizer(masked.replace('[MASK]', tokenizer.mask_token), return_tensors='pt')
            if kind == 'distilbert':
                inputs.pop('token_type_ids', None)
            logits = model(**inputs).logits[0, :, :case['size']].softmax(-1)
            masks = logits[inputs.input_ids[0] == tokenizer.mask_token_id].tolist()
        else:
            for prompt in prompts:
                ids = tokenizer(prompt)['input_ids']
                start = len(ids)
                for _ in range(12):
                    ids.append(model(torch.tensor([ids])).logits[0, -1, :case['size']].argmax().item())
                    if ids[-1] == tokenizer.eos_token_id:
                        break
                decode = lambda some: tokenizer.decode(some, skip_special_tokens=True, clean_up_tokenization_spaces=False)
                texts.append(decode(ids)[len(decode(ids[:start])):])
    result[name] = {'texts': texts, 'masks': masks}
print(json.dumps(result))
`;

// Prints the ids of lines by each of the exported folders.
const reading = `
import json, sys, transformers as hf
lines = json.load(open(sys.argv[1]))['lines']
print(json.dumps({folder: hf.AutoTokenizer.from_pretrained(folder)(lines)['input_ids'] for folder in sys.argv[2:]}))
`;

function printed(script: string, ...words: string[]): unknown {
  const { status, stdout, stderr } = spawnSync(python, ['-c', script, ...words], { cwd: folder, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

describe('models as they are published', { skip, timeout: 300_000 }, () => {
  let saved: Record<string, Saved>;
  before(async () => {
    saved = printed(saving, folder, fixture, JSON.stringify(prompts), masked) as typeof saved;
    for (const name of Object.keys(saved)) await done('import', name, '--out', `${name}-in`);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test("continue prompts as Python's transformers does", async () => {
    const names = Object.keys(saved).filter((name) => saved[name]!.texts.length > 0);
    assert.equal(names.length, 4);
    for (const name of names) {
      for (const [i, prompt] of prompts.entries()) {
        const words = ['generate', `${name}-in`, prompt, '--tokens', '12', '--temperature', '0', '--json'];
        const { text } = JSON.parse((await done(...words)).stdout) as { text: string };
        assert.equal(text, prompt + saved[name]!.texts[i], `${name}: ${prompt}`);
      }
    }
  });

  test('fill masks with its probabilities', async () => {
    const names = Object.keys(saved).filter((name) => saved[name]!.masks.length > 0);
    assert.equal(names.length, 3);
    for (const name of names) {
      const { masks } = saved[name]!;
      const tokenizer = TextTokenizer.fromFile(join(folder, `${name}-in/tokenizer.json`));
      const { stdout } = await done('fill', `${name}-in`, masked, '--top', '100', '--json');
      const found = JSON.parse(stdout) as { text: string; masks: { token: string; probability: number }[][] };
      assert.equal(found.masks.length, 2);
      for (const [i, predictions] of found.masks.entries()) {
        const likeliest = [...masks[i]!.entries()].sort(([, a], [, b]) => b - a).slice(0, predictions.length);
        for (const [k, [id, probability]] of likeliest.entries()) {
          assert.ok(Math.abs(predictions[k]!.probability - probability) < 1e-6, `${name}: ${probability}`);
          const text = tokenizer.isSpecial[id] ? tokenizer.tokens([id])[0] : tokenizer.decode([id]);
          if (k < 5) assert.equal(predictions[k]!.token, text);
        }
      }
    }
  });

  test('are exported with tokenizers that give the same ids', async () => {
    const names = Object.keys(saved);
    for (const name of names) await done('export', `${name}-in`, '--to', 'hf', '--out', `${name}-out`);
    const ids = printed(reading, fixture, ...names.map((name) => `${name}-out`)) as Record<string, number[][]>;
    const { cases } = JSON.parse(readFileSync(fixture, 'utf8')) as {
      cases: { name: string; ids: number[][] }[];
    };
    for (const { name, ids: expected } of cases) assert.deepEqual(ids[`${name.replace(' ', '-')}-out`], expected, name);
  });
});
