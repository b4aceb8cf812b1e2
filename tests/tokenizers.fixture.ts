// cspell:ignore straße İstanbul
// Tokenizers of many kinds, and lines of many scripts on which they differ.
import { bertTokens, byteLevelJson, endOfText, wordPieceJson } from '../src/data/index.ts';
import { addedToken } from '../src/data/tokenizer-json.ts';
import { drawing } from './drawing.fixture.ts';

/** A `tokenizer.json`, as far as the tests change it. */
interface TokenizerJson {
  added_tokens: ReturnType<typeof addedToken>[];
  normalizer: unknown;
  pre_tokenizer: unknown;
  post_processor: unknown;
  decoder: unknown;
  model: { vocab: Record<string, number>; merges?: string[] };
  [key: string]: unknown;
}

/** First and last code points of scripts and blocks; some hold unassigned ones. */
const ranges: readonly (readonly [number, number])[] = [
  [0x61, 0x7a],
  [0x41, 0x5a],
  [0x30, 0x39],
  [0x21, 0x7e],
  [0xa1, 0x17f],
  [0x180, 0x24f],
  [0x1e00, 0x1eff],
  [0x300, 0x36f],
  [0x370, 0x3ff],
  [0x400, 0x4ff],
  [0x531, 0x58f],
  [0x591, 0x5f4],
  [0x600, 0x6ff],
  [0x900, 0x97f],
  [0x980, 0x9ff],
  [0xb80, 0xbff],
  [0xe01, 0xe5b],
  [0xf00, 0xfff],
  [0x1000, 0x109f],
  [0x10a0, 0x10ff],
  [0x1780, 0x17f9],
  [0x1100, 0x11ff],
  [0xac00, 0xac7f],
  [0x3041, 0x30ff],
  [0x4e00, 0x4e7f],
  [0x3400, 0x341f],
  [0xf900, 0xf91f],
  [0x20000, 0x2001f],
  [0x2ebf0, 0x2ebff],
  [0x3000, 0x303f],
  [0xff01, 0xffee],
  [0x2000, 0x206f],
  [0x2100, 0x214f],
  [0x20a0, 0x20ff],
  [0x2460, 0x24ff],
  [0x1d400, 0x1d43f],
  [0x1f600, 0x1f64f],
  [0x1f1e6, 0x1f1ff],
  [0x1f3fb, 0x1f3ff],
  [0xfb00, 0xfb4f],
  [0x10d40, 0x10d65],
  [0xe000, 0xe00f],
];
const sequences = [
  '👩‍👩‍👧',
  '👍🏽',
  '🏳️‍🌈',
  'e\u0301',
  'क्षि',
  'ที่นี่',
  'لا',
  'Straße',
  'ΣΊΣΥΦΟΣ',
  'İstanbul',
  "don't",
  'ŉ',
  'ﬁn',
];
const spaces = [
  ' ',
  ' ',
  ' ',
  ' ',
  '  ',
  '\t',
  '\n',
  '\r\n',
  '\u00a0',
  '\u3000',
  '\u2009',
  '\u2028',
  '\u0085',
  '\ufeff',
  '\u200b',
  '\u180e',
  '\u000b',
  '\u001c',
];
const controls = ['\u0000', '\u0001', '\u007f', '\u0090', '\u00ad', '\u200d', '\u202e', '\ufffd', '\u{e0001}'];
const marks = ['.', ',', '!', '?', '...', '--', '"', "'", '(', ')', '。', '¿', '$', '+', '|', '~', '`', '^'];
const specials = [
  ...bertTokens,
  ...bertTokens,
  endOfText,
  '[mask]',
  '[[MASK]]',
  '[CLS][SEP]',
  '<user>',
  '<Guest>',
  '<guest>',
  '<User>',
  'new york',
  'taper',
  'tapers',
  'é1',
];

/** `count` lines of many scripts, marks, spaces, control characters and names of special tokens; the same for a seed. */
export function mixedLines(count: number, seed: number): string[] {
  const draw = drawing(seed);
  const pick = <T>(list: readonly T[]) => list[draw(list.length)]!;
  const word = () => {
    const [first, last] = draw(2) === 0 ? ranges[draw(3)]! : pick(ranges);
    return Array.from({ length: 1 + draw(7) }, () => String.fromCodePoint(first + draw(last - first + 1))).join('');
  };
  const anyCharacter = () => {
    const point = draw(0x32000);
    return point >= 0xd800 && point < 0xe000 ? 'x' : String.fromCodePoint(point);
  };
  const parts = [
    word,
    word,
    word,
    word,
    () => pick(sequences),
    () => pick(marks),
    () => pick(specials),
    anyCharacter,
    () => pick(controls),
  ];
  return Array.from({ length: count }, () =>
    Array.from({ length: 1 + draw(10) }, () => pick(parts)() + (draw(4) > 0 ? pick(spaces) : '')).join(''),
  );
}

/** BERT's special tokens, words and each letter of the scripts, alone and inside of a word. */
function letterTokens(): string[] {
  const letters = new Set(['\u0301', '\u0327', '\u0e35', '\u094d', 'ﬁ', 'ß', 'ς', 'σ']);
  for (const [first, last] of ranges)
    for (let point = first; point <= last; point++) letters.add(String.fromCodePoint(point));
  const words = ['the', 'ing', 'cafe', 'café', 'don', 'ab', 'AB', '12', '。', '...'];
  return [...bertTokens, ...new Set([...letters, ...words].flatMap((token) => [token, `##${token}`]))];
}

/** A byte-level vocabulary that merges the ends of letters with what stands beside them, so that no cut goes unnoticed. */
function byteTokens(): { vocab: Record<string, number>; merges: string[] } {
  const printable = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let others = 0;
  const symbols = Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(printable(byte) ? byte : 256 + others++),
  );
  const ascii = [...' aetAE019.,!\'"(-$\n\t'].map((character) => symbols[character.charCodeAt(0)]!);
  const tails = symbols.slice(0x80, 0xc0);
  const leads = symbols.slice(0xc2, 0xf4);
  const pairs = [
    ...ascii.flatMap((a) => ascii.map((b) => [a, b])),
    ...tails.flatMap((tail) => ascii.map((a) => [tail, a])),
    ...ascii.flatMap((a) => leads.map((lead) => [a, lead])),
    ...tails.slice(0, 32).flatMap((tail) => leads.slice(0, 32).map((lead) => [tail, lead])),
  ];
  const tokens = [...symbols, ...pairs.map((pair) => pair.join('')), endOfText];
  return {
    vocab: Object.fromEntries([...new Set(tokens)].map((token, id) => [token, id])),
    merges: pairs.map((pair) => pair.join(' ')),
  };
}

function changed(json: string, change: (json: TokenizerJson) => void): string {
  const parsed = JSON.parse(json) as TokenizerJson;
  change(parsed);
  return JSON.stringify(parsed);
}

/** Adds tokens behind the vocabulary. */
function withTokens(json: TokenizerJson, tokens: readonly Partial<ReturnType<typeof addedToken>>[]): void {
  const first = Object.keys(json.model.vocab).length;
  tokens.forEach((token, i) => {
    json.added_tokens.push({ ...addedToken(token.content!, first + i), special: false, ...token, id: first + i });
  });
}

const bertNormalizer = { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null };
const split = (Regex: string, behavior: string) => ({ type: 'Split', pattern: { Regex }, behavior, invert: false });
const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
const oddTokens = [
  { content: '<user>', normalized: false, special: true },
  { content: '<Guest>', normalized: true },
  { content: 'taper', single_word: true, normalized: true },
  { content: 'new york', normalized: true },
  { content: '[[MASK]]', lstrip: true, rstrip: true },
  { content: 'é1', normalized: true, rstrip: true },
];

/** Each kind of tokenizer as its `tokenizer.json`. */
export function tokenizerKinds(): Record<string, string> {
  const tokens = letterTokens();
  const cased = wordPieceJson(tokens, { lowercase: false });
  const uncased = wordPieceJson(tokens, { lowercase: true });
  const normalized = (normalizer: unknown) => changed(uncased, (json) => Object.assign(json, { normalizer }));
  const cut = (pre_tokenizer: unknown) => changed(uncased, (json) => Object.assign(json, { pre_tokenizer }));
  const { vocab, merges } = byteTokens();
  const gpt = byteLevelJson(vocab, merges);
  const bytes = (more: Partial<TokenizerJson>) => changed(gpt, (json) => Object.assign(json, more));
  const sequence = (id: string, type_id: number) => ({ Sequence: { id, type_id } });
  const special = (id: string, type_id: number) => ({ SpecialToken: { id, type_id } });
  const single = [special('[CLS]', 0), sequence('A', 0), special('[SEP]', 0)];
  return {
    lowerCased: uncased,
    cased,
    keepsAccents: normalized({ ...bertNormalizer, lowercase: true, strip_accents: false }),
    casedWithoutAccents: normalized({ ...bertNormalizer, lowercase: false, strip_accents: true }),
    chineseInWords: normalized({ ...bertNormalizer, lowercase: true, handle_chinese_chars: false }),
    notCleaned: normalized({ ...bertNormalizer, lowercase: true, clean_text: false }),
    sequenceOfNormalizers: normalized({
      type: 'Sequence',
      normalizers: [{ type: 'NFD' }, { type: 'Lowercase' }, { type: 'StripAccents' }],
    }),
    nfkc: normalized({ type: 'NFKC' }),
    noNormalizer: normalized(null),
    scriptsWithoutSpaces: wordPieceJson(tokens, { lowercase: true, cutsWords: true }),
    splitByPattern: cut({
      type: 'Sequence',
      pretokenizers: [
        split('[\\u0E00-\\u0E7F\\u1780-\\u17FF\\u3040-\\u30FF]', 'Isolated'),
        { type: 'BertPreTokenizer' },
      ],
    }),
    whitespace: cut({ type: 'Whitespace' }),
    spacesMarksAndDigits: cut({
      type: 'Sequence',
      pretokenizers: [
        { type: 'WhitespaceSplit' },
        { type: 'Punctuation', behavior: 'Isolated' },
        { type: 'Digits', individual_digits: true },
      ],
    }),
    template: changed(uncased, (json) => {
      json.post_processor = {
        type: 'TemplateProcessing',
        single,
        pair: [...single, sequence('B', 1), special('[SEP]', 1)],
        special_tokens: {
          '[CLS]': { id: '[CLS]', ids: [2], tokens: ['[CLS]'] },
          '[SEP]': { id: '[SEP]', ids: [3], tokens: ['[SEP]'] },
        },
      };
      json.truncation = { direction: 'Right', max_length: 8, strategy: 'LongestFirst', stride: 0 };
    }),
    addedTokens: changed(uncased, (json) => withTokens(json, oddTokens)),
    addedTokensCased: changed(cased, (json) => withTokens(json, oddTokens)),
    gpt,
    gptWithPrefixSpace: bytes({ pre_tokenizer: { ...byteLevel, add_prefix_space: true } }),
    gptWithNfc: bytes({ normalizer: { type: 'NFC' } }),
    qwen: bytes({
      normalizer: { type: 'NFC' },
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          split(
            "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
            'Isolated',
          ),
          { ...byteLevel, use_regex: false },
        ],
      },
    }),
    gptAddedTokens: changed(gpt, (json) => withTokens(json, oddTokens)),
  };
}
