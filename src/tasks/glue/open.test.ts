// cspell:ignore amrozi mangla rvid tqid
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parquetWriteFile } from 'hyparquet-writer';
import { DataError } from '../../errors/index.ts';
import { openGlueTask } from './open.ts';
import { type GlueName, glueNames, glueTasks } from './tasks.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-glue-'));
after(() => rmSync(folder, { recursive: true }));

// A line of each file of GLUE's download, as published, shortened: the header, and an example of the training set.
const lines: Record<
  GlueName,
  { header: string; row: string; test: [header: string, row: string]; texts: string[]; target: number }
> = {
  cola: {
    header: '',
    row: "gj04\t1\t\tOur friends won't buy this analysis.",
    test: ['index\tsentence', '0\tBill whistled past the house.'],
    texts: ["Our friends won't buy this analysis."],
    target: 1,
  },
  sst2: {
    header: 'sentence\tlabel',
    row: 'hide new secretions from the parental units \t0',
    test: ['index\tsentence', '0\tuneasy mishmash of styles and genres .'],
    texts: ['hide new secretions from the parental units '],
    target: 0,
  },
  mrpc: {
    header: 'Quality\t#1 ID\t#2 ID\t#1 String\t#2 String',
    row: '1\t702876\t702977\tAmrozi accused his brother , whom he called " the witness " .\tReferring to him as only " the witness " .',
    test: ['index\t#1 ID\t#2 ID\t#1 String\t#2 String', '0\t1\t2\tOne .\tTwo .'],
    texts: [
      'Amrozi accused his brother , whom he called " the witness " .',
      'Referring to him as only " the witness " .',
    ],
    target: 1,
  },
  stsb: {
    header: 'index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore',
    row: '0\tmain-captions\tMSRvid\t2012test\t0001\tnone\tnone\tA plane is taking off.\tAn air plane is taking off.\t5.000',
    test: [
      'index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2',
      '0\tg\tf\ty\t1\tn\tn\tA girl.\tA woman.',
    ],
    texts: ['A plane is taking off.', 'An air plane is taking off.'],
    target: 5,
  },
  qqp: {
    header: 'id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate',
    row: '133273\t213221\t213222\tHow is the life of a math student?\tWhich level is enough?\t0',
    test: ['id\tquestion1\tquestion2', '0\tWould the idea?\tDo they?'],
    texts: ['How is the life of a math student?', 'Which level is enough?'],
    target: 0,
  },
  mnli: {
    header:
      'index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label',
    row: '0\t31193\t31193n\tgovernment\t(\t(\t(\t(\tConceptually cream skimming.\tProduct and geography.\tneutral\tneutral',
    test: ['index\tsentence1\tsentence2', '0\tHebrides.\tSkye.'],
    texts: ['Conceptually cream skimming.', 'Product and geography.'],
    target: 1,
  },
  qnli: {
    header: 'index\tquestion\tsentence\tlabel',
    row: '0\tWhen did the third begin?\tUnlike the two seasons.\tnot_entailment',
    test: ['index\tquestion\tsentence', '0\tWhat?\tThis.'],
    texts: ['When did the third begin?', 'Unlike the two seasons.'],
    target: 1,
  },
  rte: {
    header: 'index\tsentence1\tsentence2\tlabel',
    row: '0\tNo Weapons Found.\tWeapons Found.\tnot_entailment',
    test: ['index\tsentence1\tsentence2', '0\tMangla was summoned.\tMangla was called.'],
    texts: ['No Weapons Found.', 'Weapons Found.'],
    target: 1,
  },
  wnli: {
    header: 'index\tsentence1\tsentence2\tlabel',
    row: '0\tI stuck a pin through a carrot.\tThe carrot had a hole.\t1',
    test: ['index\tsentence1\tsentence2', '0\tMaude and Dora.\tHorses.'],
    texts: ['I stuck a pin through a carrot.', 'The carrot had a hole.'],
    target: 1,
  },
};

function write(path: string, rows: readonly string[]): void {
  writeFileSync(
    path,
    rows
      .filter((row) => row !== '')
      .map((row) => `${row}\n`)
      .join(''),
  );
}

function writeTask(name: GlueName, place: string, row = lines[name].row): string {
  const at = join(folder, place, glueTasks[name].folder);
  mkdirSync(at, { recursive: true });
  const { header, test: testLines } = lines[name];
  write(join(at, 'train.tsv'), [header, row]);
  for (const { name: dev } of glueTasks[name].devs) {
    write(join(at, `${dev}.tsv`), [header, lines[name].row]);
    write(join(at, `${dev.replace('dev', 'test')}.tsv`), testLines);
  }
  return at;
}

for (const name of glueNames) {
  test(`${name} is read from GLUE's own files`, async () => {
    writeTask(name, 'official');
    const task = await openGlueTask(name, join(folder, 'official'), assert.fail);
    const expected = { texts: lines[name].texts, target: lines[name].target };
    assert.deepEqual(task.train.examples, [expected]);
    assert.deepEqual(
      task.devs.map(({ name: set }) => set),
      glueTasks[name].devs.map(({ name: set }) => set),
    );
    for (const { examples } of task.devs) assert.deepEqual(examples, [expected]);
    assert.deepEqual(
      task.tests.map(({ name: set }) => set),
      [...glueTasks[name].submissions],
    );
    assert.equal(task.tests[0]!.examples[0]!.target, undefined);
    const text = task.kind.written([lines[name].target], [], [{ texts: ['a'], target: undefined }]).text;
    const label = { stsb: '5.000', mnli: 'neutral', qnli: 'not_entailment', rte: 'not_entailment' }[name as string];
    assert.equal(text, `index\tprediction\n0\t${label ?? lines[name].target}\n`);
  });
}

/** The columns of Hugging Face's data set `glue`. */
function writeParquet(name: GlueName, part: string, label: bigint | number, texts: readonly string[]): void {
  const at = join(folder, 'parquet', name);
  mkdirSync(at, { recursive: true });
  const columnData = [
    ...glueTasks[name].parquetTexts.map((column, i) => ({ name: column, data: [texts[i]!], type: 'STRING' as const })),
    { name: 'label', data: [label], type: typeof label === 'bigint' ? ('INT64' as const) : ('FLOAT' as const) },
    { name: 'idx', data: [0], type: 'INT32' as const },
  ];
  parquetWriteFile({ filename: join(at, `${part}-00000-of-00001.parquet`), columnData });
}

for (const name of glueNames) {
  test(`${name} is read from Hugging Face's Parquet files`, async () => {
    const { texts, target } = lines[name];
    const label = name === 'stsb' ? target : BigInt(target);
    writeParquet(name, 'train', label, texts);
    for (const { parquetName } of glueTasks[name].devs) writeParquet(name, parquetName, label, texts);
    for (const { parquetName } of glueTasks[name].devs)
      writeParquet(name, parquetName.replace('validation', 'test'), -1n, texts);
    const task = await openGlueTask(name, join(folder, 'parquet'), assert.fail);
    assert.deepEqual(task.train.examples, [{ texts, target }]);
    for (const { examples } of task.devs) assert.deepEqual(examples, [{ texts, target }]);
    assert.deepEqual(
      task.tests.map(({ name: set, examples }) => [set, examples[0]!.target]),
      glueTasks[name].submissions.map((set) => [set, undefined]),
    );
  });
}

test('a label in a Parquet file that the task does not have is reported', async () => {
  writeParquet('rte', 'train', 7n, ['a', 'b']);
  await assert.rejects(
    openGlueTask('rte', join(folder, 'parquet'), assert.fail),
    /train-00000-of-00001\.parquet, row 1: the label 7 is not one of 0, 1/,
  );
});

test('the folder of the task itself will do', async () => {
  const at = writeTask('rte', 'direct');
  assert.equal((await openGlueTask('rte', at, assert.fail)).train.examples.length, 1);
});

test('mistakes in the files of a task are reported with the file and the row', async () => {
  const refused = (name: GlueName, place: string, reason: RegExp) =>
    assert.rejects(openGlueTask(name, join(folder, place), assert.fail), (error) => {
      assert.ok(error instanceof DataError);
      assert.match(error.message, reason);
      return true;
    });
  await refused('cola', 'nowhere', /nowhere: has no CoLA with train\.tsv/);
  writeTask('rte', 'label', '0\ta\tb\tperhaps');
  await refused('rte', 'label', /train\.tsv, line 2: the label "perhaps" is not one of entailment, not_entailment/);
  writeTask('stsb', 'label', lines.stsb.row.replace('5.000', 'five'));
  await refused('stsb', 'label', /line 2: the label "five" is not a number/);
  const at = writeTask('wnli', 'column');
  write(join(at, 'dev.tsv'), ['index\tsentence1\tlabel', '0\ta\t1']);
  await refused('wnli', 'column', /dev\.tsv, line 2: no column "sentence2"; found "index", "sentence1", "label"/);
  write(join(at, 'dev.tsv'), ['']);
  await refused('wnli', 'column', /dev\.tsv: has no row/);
  const broken = writeTask('rte', 'malformed');
  write(join(broken, 'test.tsv'), [...lines.rte.test, '1\ttoo few']);
  await refused('rte', 'malformed', /test\.tsv, line 3: has a different number of columns than the header/);
});

const shared = '../shared/data/glue';
const sizes = { cola: [8551, 1043], sst2: [67349, 872], mrpc: [4076, 1725], wnli: [634, 71] } as const;
for (const [name, expected] of Object.entries(sizes)) {
  test(`${name} is read completely from the files next to this project`, {
    skip: !existsSync(shared),
  }, async () => {
    const { train, devs } = await openGlueTask(name as GlueName, shared, assert.fail);
    assert.deepEqual([train.examples.length, devs[0]!.examples.length], expected);
  });
}
