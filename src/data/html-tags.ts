/** HTML's inline elements; they do not separate words. */
const inline =
  words(`a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd mark nobr q rp rt ruby s samp small
  span strike strong sub sup time tt u var wbr`);

/** The other elements of HTML, and those of drawings and formulas that are common in it. */
const others =
  words(`address area article aside audio base blockquote body br button canvas caption center col colgroup datalist dd
  details dialog div dl dt embed fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html
  iframe img input label legend li link main map math menu meta meter nav noframes noscript object ol optgroup option output p
  param path picture pre progress script search section select slot source style summary svg table tbody td template textarea
  tfoot th thead title tr track ul video`);

/** Attributes without a value. */
const flags =
  words(`allowfullscreen async autofocus autoplay checked compact controls default defer disabled formnovalidate hidden
  inert ismap itemscope loop multiple muted nomodule novalidate noshade nowrap open playsinline readonly required reversed selected`);

function words(list: string): ReadonlySet<string> {
  return new Set(list.split(/\s+/));
}

/**
 * The text for a tag, comment or instruction as CommonMark finds them: nothing, or white space if a browser starts a new line
 * there. What looks like a tag but is not HTML, such as `<String>` or `<b and c>`, is text and stays as it is.
 */
export function textOfHtmlTag(tag: string): string {
  if (tag.startsWith('<!') && !/^<!(?:--|\[CDATA\[|doctype\b)/i.test(tag)) return tag;
  const [, found, rest] = /^<\/?([a-z][a-z0-9-]*)([\s\S]*)>$/i.exec(tag) ?? [];
  if (found === undefined) return '';
  const name = found.toLowerCase();
  const attributes = [...rest!.matchAll(/([^\s=/]+)(\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'=<>`]+))?/g)];
  const isKnown = inline.has(name) || others.has(name) || attributes.some(([, , value]) => value !== undefined);
  const isMarkup = attributes.every(([, flag, value]) => value !== undefined || flags.has(flag!.toLowerCase()));
  if (!isKnown || !isMarkup) return tag;
  if (name === 'br') return '\n';
  return inline.has(name) ? '' : ' ';
}
