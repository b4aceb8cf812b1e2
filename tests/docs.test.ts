import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { globSync } from 'tinyglobby';
import { settings } from '../src/config/index.ts';
import * as depth from '../src/depth/index.ts';

// What the documents name must exist: files, settings, commands and their flags.

const root = fileURLToPath(new URL('../..', import.meta.url));
const documents = ['README.md', ...globSync('docs/**/*.md', { cwd: root })].map((path) => {
  return { path, text: readFileSync(join(root, path), 'utf8') };
});

test('every link between the documents leads to a file', () => {
  for (const { path, text } of documents) {
    for (const [, target] of text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      assert.ok(existsSync(join(root, dirname(path), target!)), `${path} links to ${target}`);
    }
  }
});

test('every setting that a document names is in the schema', () => {
  const known = new Set(settings.map((setting) => setting.path));
  for (const { path, text } of documents) {
    for (const [name] of text.matchAll(/\b(model|depth|data|train)\.[a-z]\w*(?!\w*\()/g)) {
      const isFile = /\.(ts|js|json|md|safetensors|yaml|tsv|csv|onnx)$/.test(name);
      const isFunction = name.startsWith('depth.') && name.slice(6) in depth;
      if (!isFile && !isFunction) assert.ok(known.has(name), `${path} names ${name}`);
    }
  }
});

test('every command and flag that a document shows is one of taper', () => {
  const helpOf = new Map<string, string>();
  const help = (words: readonly string[]) => {
    const key = words.join(' ');
    if (!helpOf.has(key)) {
      const { stdout } = spawnSync(process.execPath, ['dist/src/cli/main.js', ...words, '--help'], {
        cwd: root,
        encoding: 'utf8',
      });
      helpOf.set(key, stdout);
    }
    return helpOf.get(key)!;
  };
  const shown = documents.flatMap(({ path, text }) =>
    [...text.matchAll(/(?:^ {4}|`)(?:npx )?taper-lm ([^\n`]+)/gm)].map(([, command]) => ({
      path,
      command: command!,
    })),
  );
  assert.ok(shown.length > 5);
  for (const { path, command } of shown) {
    const [name, second] = command.split(/\s+/);
    if (name!.startsWith('-')) continue;
    const words = /^(tokenizer|data|bench)$/.test(name!) && second ? [name!, second] : [name!];
    assert.match(help(words), new RegExp(`^Usage: taper-lm ${words.join(' ')}`), `${path}: taper-lm ${command}`);
    for (const [flag] of command.matchAll(/--[a-z-]+/g))
      assert.ok(help(words).includes(flag), `${path}: ${flag} of taper ${command}`);
  }
});

test('each depth method has its card', () => {
  const methods = settings.find((setting) => setting.path === 'depth.method')!.choices!;
  for (const method of methods) assert.ok(existsSync(join(root, 'docs/methods', `${method}.md`)), method);
});
