import MarkdownIt, { type Env, type MarkdownIt as Parser, type Token } from 'markdown-it';
import { textOfHtmlTag } from './html-tags.ts';

/**
 * A long document is parsed in parts of about `piece` characters, split between two top-level blocks. A single block, such as a
 * list, is parsed at once and has at most `block` characters.
 */
const limits = { piece: 1 << 20, block: 1 << 24 };
/** Deeper levels are read as one paragraph: markdown-it would drop anything nested deeper than its `maxNesting`. */
const maxLevel = 97;

/** Front matter: the pattern of its first lines, and its last line. */
const frontMatters = [
  { first: /^---[ \t]*\n(?:(?:#.*|[ \t]*)\n)*["']?[\w-]+["']?[ \t]*:(?=\s)/, last: /\n(?:---|\.\.\.)[ \t]*(?:\n|$)/g },
  { first: /^\+\+\+[ \t]*\n(?:(?:#.*|[ \t]*)\n)*["']?[\w.-]+["']?[ \t]*=/, last: /\n\+\+\+[ \t]*(?:\n|$)/g },
];

const markdown = new MarkdownIt({ html: true, maxNesting: maxLevel + 3 });
markdown.validateLink = () => true; // the address of a link does not matter
markdown.block.ruler.before('table', 'too_deep', (state, startLine, endLine, silent) => {
  if (silent || state.level < maxLevel) return false;
  let line = startLine;
  while (line < endLine && (state.isEmpty(line) || state.sCount[line]! >= state.blkIndent)) line++;
  const token = state.push('inline', '', 0);
  token.content = state.getLines(startLine, line, state.blkIndent, false);
  state.line = line;
  return true;
});
/** Reads HTML: only tags, comments and entities. */
const html = new MarkdownIt('zero', { html: true }).enable(['html_inline', 'entity']);

/**
 * The text of a Markdown document (CommonMark and tables) as a reader of the page sees it, with a blank line between blocks.
 * Front matter, code blocks, images, HTML tags and comments, link addresses and link definitions are left out. A code block that
 * is never closed stays, because it would take the rest of the document with it.
 */
export function markdownText(source: string): string {
  const env: Env = {};
  return textOf(blocksOf(withoutFrontMatter(withLineFeeds(source)), env), env);
}

/**
 * The text of a Markdown document of any length in parts, in bounded memory. It is the same as that of `markdownText`, except
 * that a link definition counts only from its part of about a million characters on.
 *
 * @throws Error if a single block has more than 16 million characters.
 */
export async function* markdownParts(source: AsyncIterable<string>, { piece, block } = limits): AsyncGenerator<string> {
  const env: Env = {};
  let rest = '';
  let enough = piece;
  let isFirst = true;
  let separator = '';
  const part = (blocks: readonly Token[]) => {
    const text = textOf(blocks, env);
    if (text === '') return '';
    const parted = separator + text;
    separator = '\n';
    return parted;
  };
  for await (const characters of source) {
    rest += characters;
    if (rest.length < enough) continue;
    rest = withLineFeeds(rest);
    if (isFirst) rest = withoutFrontMatter(rest);
    isFirst = false;
    const { blocks, end } = wholeBlocks(rest, env);
    yield part(blocks);
    rest = rest.slice(end);
    if (rest.length > block) {
      throw new Error(
        `a single block of Markdown (a list, table, quote or paragraph) is longer than ${block.toLocaleString('en')} characters; if it is plain text, name the file .txt`,
      );
    }
    enough = Math.max(piece, 2 * rest.length); // so that a long block is parsed only a few times
  }
  rest = withLineFeeds(rest);
  yield part(blocksOf(isFirst ? withoutFrontMatter(rest) : rest, env));
}

/** A carriage return at the end stays, because a line feed may follow. */
const withLineFeeds = (source: string) => source.replace(/\r\n|\r(?!$)/g, '\n');

function withoutFrontMatter(source: string): string {
  for (const { first, last } of frontMatters) {
    const opening = first.exec(source);
    if (!opening) continue;
    last.lastIndex = opening[0].length;
    if (last.test(source)) return source.slice(last.lastIndex);
  }
  return source;
}

function blocksOf(source: string, env: Env): Token[] {
  const tokens: Token[] = [];
  markdown.block.parse(source.endsWith('\n') ? source : `${source}\n`, markdown, env, tokens);
  return tokens;
}

/** The blocks that nothing after `source` can change (all top-level blocks but the last), and where they end. */
function wholeBlocks(source: string, env: Env): { blocks: Token[]; end: number } {
  const tokens = blocksOf(source, env);
  const last = tokens.findLastIndex(({ level, nesting, map }) => level === 0 && nesting >= 0 && map !== null);
  if (last < 0) return { blocks: [], end: 0 };
  let end = 0;
  for (let line = tokens[last]!.map![0]; line > 0; line--) end = source.indexOf('\n', end) + 1;
  return { blocks: tokens.slice(0, last), end };
}

/** The texts of blocks, with a blank line between them, but none between the items of a tight list or the rows of a table. */
function textOf(tokens: readonly Token[], env: Env): string {
  let text = '';
  let wasTight = true;
  let cells: string[] | undefined;
  const add = (block: string, isTight: boolean) => {
    const trimmed = block.trim();
    if (trimmed === '') return;
    text += `${text === '' || (isTight && wasTight) ? '' : '\n'}${trimmed}\n`;
    wasTight = isTight;
  };
  tokens.forEach((token, i) => {
    if (token.level === 0) wasTight = false;
    if (token.type === 'inline') {
      const block = inlineText(token.content, markdown, env);
      if (cells) cells.push(block);
      else add(block, tokens[i - 1]?.hidden === true);
    } else if (token.type === 'tr_open') cells = [];
    else if (token.type === 'tr_close') {
      add(cells!.join(' '), true);
      cells = undefined;
    } else if (token.type === 'html_block') add(linesOf(inlineText(token.content, html, env)), false);
    else if (token.type === 'fence' && !isClosed(token)) add(token.content, false);
  });
  return text;
}

/** A closed fence has two lines more than its content. */
function isClosed({ map, content }: Token): boolean {
  return map![1] - map![0] === content.split('\n').length + 1;
}

/** Lines without white space around them, the empty ones left out. */
function linesOf(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join('\n');
}

/** The text for a kind of token; nothing for one that is not listed, such as the start of emphasis or an image. */
const printed: Record<string, (token: Token) => string> = {
  text: ({ content }) => content,
  text_special: ({ content }) => content,
  code_inline: ({ content }) => content,
  softbreak: () => '\n',
  hardbreak: () => '\n',
  html_inline: ({ content }) => textOfHtmlTag(content),
};

function inlineText(content: string, parser: Parser, env: Env): string {
  const tokens: Token[] = [];
  parser.inline.parse(content, parser, env, tokens);
  return withoutScripts(tokens)
    .map((token) => printed[token.type]?.(token) ?? '')
    .join('');
}

/** Leaves out everything between the tags of a script or style sheet. One that is never closed stays. */
function withoutScripts(tokens: readonly Token[]): readonly Token[] {
  const isTag = (token: Token, tag: RegExp) => token.type === 'html_inline' && tag.test(token.content);
  const end = tokens.findLastIndex((token) => isTag(token, /^<\/(?:script|style)\b/i));
  if (end < 0) return tokens;
  const kept: Token[] = [];
  for (let i = 0; i < tokens.length; i++) {
    if (i < end && isTag(tokens[i]!, /^<(?:script|style)\b/i)) {
      while (!isTag(tokens[i]!, /^<\/(?:script|style)\b/i)) i++;
    } else kept.push(tokens[i]!);
  }
  return kept;
}
