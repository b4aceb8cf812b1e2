/** An element of an SVG document. `content` is SVG: elements, or text escaped by `textOf`. */
export function element(name: string, attributes: Record<string, string | number>, ...content: string[]): string {
  const written = Object.entries(attributes).map(([name, value]) => ` ${name}="${textOf(String(value))}"`);
  const start = `<${name}${written.join('')}`;
  return content.length > 0 ? `${start}>${content.join('')}</${name}>` : `${start}/>`;
}

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Text, escaped for SVG. Characters that XML cannot hold, but folder names can, become `�`. */
export function textOf(words: string): string {
  return words
    .replace(/[^\t\n\r -\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '\uFFFD')
    .replace(/[&<>"]/g, (character) => escapes[character]!);
}
