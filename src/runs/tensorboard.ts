import { appendFileSync, closeSync, openSync, readdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import crc32c from 'crc-32/crc32c.js';
import { PbfWriter } from 'pbf';
import { makeFolder, writing } from '../files/index.ts';
import { type EvalMetrics, evalFields, type Field, type StepMetrics, stepFields } from './fields.ts';
import { type Gap, isRight } from './gap.ts';
import type { Sink } from './sink.ts';
import { addStep, flopsSaved, nothingSpent } from './spent.ts';

// TensorBoard's files: TFRecords of Events. The numbers are the field numbers in event.proto, summary.proto,
// histogram.proto and tensor.proto. Source: https://github.com/tensorflow/tensorboard/tree/master/tensorboard/compat/proto.

/** About this many steps of a run are written: TensorBoard draws a thousand points per curve, and a file stays below 10 MB. */
const maxSteps = 10_000;
/** Buckets of keep rates, equally wide from 0 to 1. */
const numBuckets = 20;

const sessionStart = 1;
const stringType = 7;
/** Without it TensorBoard would have to know the plugin. */
const tensorClass = 2;

/** One thing to show at a step. */
type Value = { tag: string } & ({ scalar: number } | { histogram: readonly number[] } | { text: string });

/**
 * TensorBoard's files in the folder `events` of the run, with one append per line; in a long run not for every step. A resumed
 * run begins a new file; later steps in older files are not shown.
 *
 * @throws OutputError when they cannot be written.
 */
export const tensorBoard = (): Sink => ({
  open({ out, config, step: last }) {
    const folder = join(out, 'events');
    const { path, file } = writing(folder, () => newFile(folder));
    const write = (step: number, writeWhat: (pbf: PbfWriter) => void) => {
      const pbf = new PbfWriter();
      pbf.writeDoubleField(1, Date.now() / 1000);
      pbf.writeVarintField(2, step);
      writeWhat(pbf);
      writing(path, () => appendFileSync(file, record(pbf.finish())));
    };
    const writeValues = (step: number, values: readonly Value[]) =>
      write(step, (pbf) => pbf.writeMessage(5, writeSummary, values));

    write(0, (pbf) => pbf.writeStringField(3, 'brain.Event:2'));
    // TensorBoard takes the first of these as the start of the run, and drops later steps only at the following ones.
    write(last + 1, (pbf) => pbf.writeMessage(7, (_, session) => session.writeVarintField(1, sessionStart), undefined));
    const text = `\`\`\`json\n${JSON.stringify(config, null, 2)}\n\`\`\``;
    writeValues(Math.max(0, last), [{ tag: 'config', text }]);

    const { steps } = config.train;
    const every = Math.ceil(steps / maxSteps);
    const spent = nothingSpent();
    return {
      metrics: (line) => {
        const { step } = line;
        if (line.type === 'eval') {
          writeValues(step, evaluationValues(line));
          return;
        }
        addStep(spent, line);
        if (step % every === 0 || step === steps) writeValues(step, stepValues(line, flopsSaved(spent)));
      },
      close: () => writing(path, () => closeSync(file)),
    };
  },
});

/** TensorBoard reads the files of a folder in the order of their names, so a new one comes after all others, whatever the clock says. */
function newFile(folder: string): { path: string; file: number } {
  makeFolder(folder);
  const others = readdirSync(folder).map((name) => Number(/^events\.out\.tfevents\.(\d+)\./.exec(name)?.[1] ?? 0));
  const seconds = Math.max(Math.floor(Date.now() / 1000), ...others.map((second) => second + 1));
  const path = join(folder, `events.out.tfevents.${seconds}.${hostname()}.${process.pid}`);
  return { path, file: openSync(path, 'ax') };
}

function stepValues(line: StepMetrics, saved: number): Value[] {
  return [
    ...scalarValues(stepFields, line),
    { tag: 'cost/flopsSaved', scalar: saved },
    { tag: 'depth/keepRates', histogram: line.keepRates },
  ];
}

function evaluationValues(line: EvalMetrics): Value[] {
  const scalars = scalarValues(evalFields, line);
  const texts = (line.examples ?? []).map(exampleText);
  return texts.length > 0 ? [...scalars, { tag: 'valid/examples', text: texts.join('\n\n') }] : scalars;
}

/** The numbers of a line whose fields have a tag. */
function scalarValues(fields: Readonly<Record<string, Field>>, line: object): Value[] {
  const values: Record<string, unknown> = { ...line };
  return Object.entries(fields).flatMap(([name, { tag }]) => {
    const scalar = values[name];
    return tag !== undefined && typeof scalar === 'number' ? [{ tag, scalar }] : [];
  });
}

/** As Markdown: the removed word is bold if the model guesses it; if not, the guess follows it in italics. */
function exampleText(gap: Gap): string {
  const [best] = gap.guesses;
  const right = plain(gap.right);
  const word = isRight(gap, best?.text) ? `**${right}**` : best ? `${right} (*${plain(best.text)}*)` : right;
  return `${plain(gap.before)}${word}${plain(gap.after)}`;
}

/** Characters with a meaning in Markdown are written as numeric references. */
function plain(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+\-!|<>&~]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function writeSummary(values: readonly Value[], pbf: PbfWriter): void {
  for (const value of values) pbf.writeMessage(1, writeValue, value);
}

function writeValue(value: Value, pbf: PbfWriter): void {
  pbf.writeStringField(1, value.tag);
  if ('scalar' in value) {
    pbf.writeFloatField(2, value.scalar);
  } else if ('histogram' in value) {
    pbf.writeMessage(5, writeHistogram, value.histogram);
  } else {
    pbf.writeMessage(8, writeText, value.text);
    pbf.writeMessage(9, writeTextMetadata, undefined);
  }
}

/** Only the buckets from the lowest rate to the highest: TensorBoard starts the first at `min` and ends the last at `max`. */
function writeHistogram(rates: readonly number[], pbf: PbfWriter): void {
  const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);
  const bucketOf = (rate: number) => Math.min(Math.floor(rate * numBuckets), numBuckets - 1);
  const [min, max] = [Math.min(...rates), Math.max(...rates)];
  const first = bucketOf(min);
  const buckets = Array.from({ length: bucketOf(max) - first + 1 }, (_, i) => first + i);
  pbf.writeDoubleField(1, min);
  pbf.writeDoubleField(2, max);
  pbf.writeDoubleField(3, rates.length);
  pbf.writeDoubleField(4, sum(rates));
  pbf.writeDoubleField(5, sum(rates.map((rate) => rate * rate)));
  pbf.writePackedDouble(
    6,
    buckets.map((bucket) => (bucket + 1) / numBuckets),
  );
  pbf.writePackedDouble(
    7,
    buckets.map((bucket) => rates.filter((rate) => bucketOf(rate) === bucket).length),
  );
}

/** A tensor without dimensions. */
function writeText(text: string, pbf: PbfWriter): void {
  pbf.writeVarintField(1, stringType);
  pbf.writeMessage(2, () => {}, undefined);
  pbf.writeStringField(8, text);
}

function writeTextMetadata(_: undefined, pbf: PbfWriter): void {
  pbf.writeMessage(1, (_, plugin) => plugin.writeStringField(1, 'text'), undefined);
  pbf.writeVarintField(4, tensorClass);
}

/**
 * A TFRecord: the length of the data, its checksum, the data, their checksum.
 * Source: https://www.tensorflow.org/tutorials/load_data/tfrecord, "TFRecords format details".
 */
function record(data: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(data.length + 16);
  bytes.writeBigUInt64LE(BigInt(data.length));
  bytes.writeUInt32LE(maskedChecksum(bytes.subarray(0, 8)), 8);
  bytes.set(data, 12);
  bytes.writeUInt32LE(maskedChecksum(data), data.length + 12);
  return bytes;
}

/** CRC-32C, rotated by 15 bits and offset, because a plain checksum of data that contains checksums is weak. */
function maskedChecksum(bytes: Uint8Array): number {
  const crc = crc32c.buf(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
