// The tokens themselves are compared in llama.cpp: tests/gguf.test.ts.
import assert from 'node:assert/strict';
import test from 'node:test';
import { addedToken, byteLevelJson } from '../../data/tokenizer-json.ts';
import type { OutgoingModel } from '../model.ts';
import { tokenizerFields } from './tokenizer.ts';

const vocab = { a: 0, b: 1, ab: 2, '<|endoftext|>': 4 };
const plain = JSON.parse(byteLevelJson(vocab, ['a b']));

function fields(changes: object, warn: (message: string) => void = assert.fail) {
  const tokenizerJson = JSON.stringify({ ...plain, ...changes });
  const config = { kind: 'llama', vocabSize: 6 };
  return tokenizerFields({ checkpoint: { path: 'here', tokenizerJson }, config } as OutgoingModel, warn);
}

test('tokens are at their ids, and ids without one are filled with tokens that no text has', () => {
  const added = { ...addedToken('<x>', 3), special: false };
  const found = fields({ added_tokens: [...plain.added_tokens, added], model: { ...plain.model, unk_token: 'b' } });
  assert.deepEqual(found['tokenizer.ggml.tokens'], ['a', 'b', 'ab', '<x>', '<|endoftext|>', '[PAD5]']);
  assert.deepEqual(found['tokenizer.ggml.token_type'], Int32Array.of(1, 1, 1, 4, 3, 5));
  assert.deepEqual(found['tokenizer.ggml.merges'], ['a b']);
  const ids = ['bos', 'eos', 'padding', 'unknown'].map((name) => found[`tokenizer.ggml.${name}_token_id`]);
  assert.deepEqual(ids, [4, 4, 4, 1]);
  assert.equal(found['tokenizer.ggml.add_bos_token'], false);
  assert.ok(!('tokenizer.ggml.unknown_token_id' in fields({})));
});

test('merges may be lists, as newer files have them', () => {
  const found = fields({ model: { ...plain.model, merges: [['a', 'b']] } });
  assert.deepEqual(found['tokenizer.ggml.merges'], ['a b']);
});

test('a tokenizer that llama.cpp would read differently is refused', () => {
  const bytes = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };
  const sequence = (...pretokenizers: object[]) => ({ pre_tokenizer: { type: 'Sequence', pretokenizers } });
  const digits = { type: 'Digits', individual_digits: true };
  const words = { ...bytes, use_regex: true };
  assert.equal(fields(sequence(digits, words))['tokenizer.ggml.pre'], 'smollm');
  const split = { type: 'Split', pattern: { Regex: '\\p{N}' }, behavior: 'Isolated', invert: false };
  const lone = { ...addedToken('<x>', 3), lstrip: true };
  const refused: [object, RegExp][] = [
    [{ pre_tokenizer: null }, /splits texts in an unknown way/],
    [{ pre_tokenizer: bytes }, /splits texts in an unknown way/],
    [{ pre_tokenizer: { ...words, add_prefix_space: true } }, /splits texts in an unknown way/],
    [sequence({ ...digits, individual_digits: false }, words), /splits texts in an unknown way/],
    [sequence(split, bytes), /splits texts in an unknown way/],
    [sequence({ ...split, pattern: { Regex: 'words' } }, bytes), /splits texts in an unknown way/],
    [{ model: { ...plain.model, ignore_merges: true } }, /splits texts in an unknown way/],
    [{ model: { ...plain.model, byte_fallback: true } }, /is not plain byte-level BPE/],
    [{ normalizer: { type: 'Lowercase' } }, /has the normalizer Lowercase/],
    [{ added_tokens: [...plain.added_tokens, lone] }, /looks at the text next to <x>/],
  ];
  for (const [changes, reason] of refused) {
    assert.throws(
      () => fields(changes),
      ({ name, message }: Error) => {
        assert.equal(name, 'CheckpointError');
        assert.match(message, /^here: its tokenizer .*, which --to gguf cannot write; export it with --to hf$/);
        assert.match(message, reason);
        return true;
      },
    );
  }
});
