import { keysThatAffect, loadConfig, type Section, type Setting, sections } from '../config/index.ts';
import { depthMethods } from '../depth/index.ts';
import { presets } from '../model/index.ts';
import { markdownTable } from '../report/format.ts';
import { evalFields, type Field, stepFields } from '../runs/index.ts';

const introduction = `# Configuration

A config file is YAML or JSON with the sections ${sections.map(({ name }) => `\`${name}\``).join(', ')}. Every key is optional, but
the length of a run must be given, as \`train.steps\` or \`train.epochs\`. The command line overrides the file: \`--set train.steps=1000\` sets any key, with a value in YAML,
\`--set 'data.train=["texts/*.txt"]'\` sets a list, and \`--set data.tokenizer=null\` resets a key to its default. Paths are relative to the working directory, not to the file.

An unknown key, a wrong type or a value out of range stops the program with one line that says what is expected.
Derived values are printed once at the start, each with its reason. The run keeps the complete configuration as \`config.json\`,
which is itself a config file.

This page is generated from the schema.
`;

const endings = `## Constraints

- \`model.heads\` divides \`model.hiddenSize\`.
- \`data.sequenceLength\` is at most \`model.maxPositions\`.
- \`train.microBatchSize\` divides \`train.batchSize\`.

## From a DeepSpeed configuration

    npx taper-lm pretrain --deepspeed ds_config.json --set model.preset=bert-base train.steps=200000 --data my/texts --out runs/mine

\`--deepspeed\` takes batch sizes, Adam, AdamW or LAMB, WarmupLR, WarmupDecayLR or WarmupCosineLR, clipping, precision and \`progressive_layer_drop\`. Warnings name the keys that it does not
use and those that are \`auto\`. The file has no model and no profile along the depth. \`train_batch_size\` is the batch over all GPUs, like \`train.batchSize\`.

## What a resumed run may change

${[...keysThatAffect('start', 'time', 'nothing')].map((path) => `\`${path}\``).join(', ')}; texts are compared by content. \`train.steps\` or
\`train.epochs\` may change too, but not to fewer steps than are done: learning rate and θ then continue as in a run of that length.
`;

/** The text of docs/configuration.md: every key of the config file with its type, default and meaning. */
export function configurationMarkdown(): string {
  return [introduction, ...sections.map(sectionMarkdown), methodsMarkdown(), presetsMarkdown(), endings].join('\n');
}

function sectionMarkdown({ name, description, settings }: Section): string {
  const rows = settings.map((setting) => [
    `\`${setting.key}\``,
    setting.typeName,
    defaultText(setting),
    setting.description,
  ]);
  return `## ${name}\n\n${description}\n\n${markdownTable([['key', 'type', 'default', 'meaning'], ...rows])}\n`;
}

function defaultText(setting: Setting): string {
  if (setting.default === undefined) return setting.derived ?? '–';
  return `\`${typeof setting.default === 'string' ? setting.default : JSON.stringify(setting.default)}\``;
}

function methodsMarkdown(): string {
  const rows = Object.entries(depthMethods).map(([name, method]) => {
    const keys = [...method.reads, ...Object.keys('keys' in method ? method.keys : {})];
    return [`[\`${name}\`](methods/${name}.md)`, method.title, keys.map((key) => `\`${key}\``).join(', ') || '–'];
  });
  return `## Depth methods\n\n${markdownTable([['method', 'description', 'keys of `depth` that it reads'], ...rows])}\n`;
}

function presetsMarkdown(): string {
  const rows = Object.keys(presets).map((name) => {
    const { model } = loadConfig({
      overrides: { model: { preset: name as keyof typeof presets }, train: { steps: 1 } },
    }).config;
    const { kind, layers, hiddenSize, heads, keyValueHeads, ffnSize } = model;
    const numHeads =
      keyValueHeads === undefined || keyValueHeads === heads ? `${heads}` : `${heads} / ${keyValueHeads}`;
    return [`\`${name}\``, `\`${kind}\``, `${layers}`, `${hiddenSize}`, numHeads, `${ffnSize}`];
  });
  return `## Presets\n\n${markdownTable([['preset', 'kind', 'layers', 'hiddenSize', 'heads', 'ffnSize'], ...rows])}\n`;
}

/** The tables of docs/metrics.md, by the names in its comments. */
const metricTables: Readonly<Record<string, () => string>> = {
  'step fields': () => fieldsMarkdown(stepFields),
  'evaluation fields': () => fieldsMarkdown(evalFields),
  'TensorBoard tags': () => {
    const tagged = [...Object.entries<Field>(stepFields), ...Object.entries<Field>(evalFields)];
    const rows = tagged.flatMap(([name, { tag, meaning }]) => (tag ? [[`\`${tag}\``, `\`${name}\`: ${meaning}`]] : []));
    return markdownTable([['tag', 'field'], ...rows]);
  },
};

function fieldsMarkdown(fields: Readonly<Record<string, Field>>): string {
  const rows = Object.entries(fields).map(([name, { meaning, unit }]) => [`\`${name}\``, meaning, unit]);
  return markdownTable([['key', 'meaning', 'unit'], ...rows]);
}

/** docs/metrics.md with its generated tables, each between `<!-- NAME, by npm run docs -->` and `<!-- end -->`. */
export function withMetricTables(page: string): string {
  return Object.entries(metricTables).reduce((text, [name, table]) => {
    const [begin, end] = [`<!-- ${name}, by npm run docs -->\n`, '\n<!-- end -->'];
    const start = text.indexOf(begin) + begin.length;
    return text.slice(0, start) + table() + text.slice(text.indexOf(end, start));
  }, page);
}
