const frontMatter = /^---\r?\n[\s\S]*?\r?\n---\r?\n/;
const fencedCode = /^ {0,3}(```+|~~~+)[^\n]*\n(?:[\s\S]*?\n)?? {0,3}\1[`~]*[ \t]*$/gm;
// What is searched for is bounded: without its end, an unbounded search begins anew at each start.
const comment = /<!--[\s\S]{0,10000}?-->/g;
const image = /!\[[^[\]]{0,1000}\](?:\([^)]{0,1000}\)|\[[^[\]]{0,1000}\])/g;
const link = /\[([^[\]]{0,1000})\](?:\([^)]{0,1000}\)|\[[^[\]]{0,1000}\])/g;
const linkDefinition = /^ {0,3}\[[^\]]+\]:.*$/gm;
const htmlTag = /<\/?[a-zA-Z][^<>]{0,1000}>/g;
const lineMark = /^ {0,3}(?:#{1,6}[ \t]+|>[ \t]?|[-=*_]{3,}[ \t]*$)/gm;
const emphasis = /\*\*|__|`/g;

/**
 * The prose of a Markdown text: without front matter, fenced code, comments, images, link targets, HTML tags, and
 * the marks of headings, quotes, rules and emphasis. It is simple and not a parser: rare constructs stay as they are.
 */
export function stripMarkdown(source: string): string {
  return source
    .replace(frontMatter, '')
    .replace(fencedCode, '')
    .replace(comment, '')
    .replace(image, '')
    .replace(link, '$1')
    .replace(linkDefinition, '')
    .replace(htmlTag, '')
    .replace(lineMark, '')
    .replace(emphasis, '');
}
