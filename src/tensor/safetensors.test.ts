// cspell:ignore ünïcode
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { CheckpointError } from '../errors/index.ts';
import { readSafetensors, writeSafetensors } from './safetensors.ts';
import { liveTensors, scope } from './scope.ts';
import { type Dtype, Tensor } from './tensor.ts';

const folder = mkdtempSync(join(tmpdir(), 'taper-safetensors-'));
const file = join(folder, 'a.safetensors');
after(() => rmSync(folder, { recursive: true }));

const scoped = (name: string, body: () => void) => test(name, () => scope(body));

/** A file by the book: 8 bytes with the header's length, the header, the data. */
function write(header: unknown, data: Uint8Array = new Uint8Array(0)): void {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(file, Buffer.concat([length, text, data]));
}

function assertBroken(what: string, reason: RegExp): void {
  assert.throws(
    () => readSafetensors(file),
    (error: Error) => {
      assert.ok(error instanceof CheckpointError, `${what}: ${error.stack}`);
      assert.ok(error.message.startsWith(`${file}: `), what);
      assert.match(error.message, reason, what);
      return true;
    },
  );
}

scoped('tensors of every dtype and odd shapes come back bit for bit, in their order', () => {
  const x = Tensor.normal([3, 5], { std: 1, seed: 1 });
  const dtypes: Dtype[] = ['float32', 'float64', 'float16', 'bfloat16', 'int32', 'int64', 'uint8', 'bool'];
  const tensors = new Map(dtypes.map((dtype) => [`a.${dtype}`, x.mul(100).to('int32').to(dtype)]));
  tensors
    .set('x', x)
    .set('no.dimensions', x.sum())
    .set('empty', Tensor.zeros([0, 3]))
    .set('ünïcode', x.transpose(0, 1));
  writeSafetensors(file, tensors);
  const read = readSafetensors(file);
  assert.deepEqual([...read.keys()], [...tensors.keys()]);
  for (const [name, tensor] of tensors) {
    assert.equal(read.get(name)!.dtype, tensor.dtype, name);
    assert.deepEqual(read.get(name)!.shape, tensor.shape, name);
    assert.deepEqual(read.get(name)!.toArray(), tensor.toArray(), name);
  }
});

scoped('a tensor that is written in several pieces comes back bit for bit', () => {
  const x = Tensor.normal([1000, 777], { std: 1, seed: 2 }); // 3.1 MB: two whole pieces and a part
  writeSafetensors(file, new Map([['x', x]]));
  assert.deepEqual(readSafetensors(file).get('x')!.toArray(), x.toArray());
});

scoped('copyBytes copies the bytes asked for, and refuses to go past the end', () => {
  const x = Tensor.from(Uint8Array.of(1, 2, 3, 4, 5), [5]);
  const into = new Uint8Array(8);
  x.copyBytes(1, into.subarray(2, 5));
  assert.deepEqual([...into], [0, 0, 2, 3, 4, 0, 0, 0]);
  assert.throws(() => x.copyBytes(3, into.subarray(0, 3)), /copyBytes: past the end of 5 bytes/);
  assert.throws(() => Tensor.zeros([2, 3]).transpose(0, 1).copyBytes(0, into), /contiguous and on the CPU/);
});

scoped('the bytes on disk are those of the format, and the data begins at a multiple of eight', () => {
  for (const name of ['a', 'ab', 'abc', 'abcdefgh', 'é']) {
    const tensors = new Map([
      [name, Tensor.from(Float32Array.of(1, -2), [2, 1])],
      ['second', Tensor.from(BigInt64Array.of(3n), [1])],
      ['third', Tensor.from(Uint16Array.of(0x3f80), [1])],
    ]);
    writeSafetensors(file, tensors);
    const bytes = readFileSync(file);
    const length = Number(bytes.readBigUInt64LE(0));
    assert.equal((8 + length) % 8, 0);
    const header = bytes.subarray(8, 8 + length).toString('utf8');
    assert.equal(header[0], '{');
    assert.deepEqual(JSON.parse(header), {
      __metadata__: { format: 'pt' },
      [name]: { dtype: 'F32', shape: [2, 1], data_offsets: [0, 8] },
      second: { dtype: 'I64', shape: [1], data_offsets: [8, 16] },
      third: { dtype: 'BF16', shape: [1], data_offsets: [16, 18] },
    });
    // 1 and −2 in float32, 3 in int64, 1 in bfloat16, all little-endian.
    assert.equal(bytes.subarray(8 + length).toString('hex'), '0000803f' + '000000c0' + '0300000000000000' + '803f');
  }
});

scoped('a file written by another program is read, whatever the order of its header', () => {
  const header = {
    later: { dtype: 'F32', shape: [1], data_offsets: [2, 6] },
    first: { dtype: 'BF16', shape: [], data_offsets: [0, 2] },
    empty: { dtype: 'F32', shape: [0], data_offsets: [2, 2] },
  };
  write(header, Uint8Array.of(0x80, 0x3f, 0, 0, 0, 0x40));
  const read = readSafetensors(file);
  assert.equal(read.get('first')!.toFloats()[0], 1);
  assert.equal(read.get('later')!.item(), 2);
  assert.deepEqual(read.get('empty')!.shape, [0]);
});

scoped('a file that is cut short anywhere is a CheckpointError', () => {
  const tensors = new Map([
    ['a', Tensor.zeros([3])],
    ['b', Tensor.zeros([2])],
  ]);
  writeSafetensors(file, tensors);
  const whole = readFileSync(file);
  for (let size = whole.length - 1; size >= 0; size--) {
    truncateSync(file, size);
    assertBroken(`${size} of ${whole.length} bytes`, /use another checkpoint or copy this one again$/);
  }
});

scoped('a header that is none, or a file of another kind, is a CheckpointError', () => {
  writeFileSync(file, 'PK\u0003\u0004 this is a zip file, not what was asked for');
  assertBroken('zip', /header is not a safetensors header/);
  const absurd = Buffer.alloc(64);
  for (const length of [0n, 1n, 57n, 2n ** 40n, 2n ** 63n, 2n ** 64n - 1n]) {
    absurd.writeBigUInt64LE(length);
    writeFileSync(file, absurd);
    assertBroken(`length ${length}`, /header is not a safetensors header/);
  }
  write('{"a": ');
  assertBroken('half JSON', /header is not JSON/);
  for (const header of ['null', '42', '"text"']) {
    write(header);
    assertBroken(header, /header is not/);
  }
});

scoped('a tensor that the header does not describe as the format says is a CheckpointError', () => {
  const good = { dtype: 'F32', shape: [2], data_offsets: [0, 8] };
  const entries: unknown[] = [
    null,
    7,
    'F32',
    [],
    {},
    { ...good, shape: undefined },
    { ...good, shape: 'big' },
    { ...good, shape: [-2] },
    { ...good, shape: [0.5, 4] },
    { ...good, shape: [null] },
    { ...good, data_offsets: undefined },
    { ...good, data_offsets: 8 },
    { ...good, data_offsets: [0] },
    { ...good, data_offsets: ['0', '8'] },
    { ...good, data_offsets: [-8, 0] },
    { ...good, dtype: 1 },
  ];
  for (const entry of entries) {
    write({ a: entry }, new Uint8Array(8));
    assertBroken(JSON.stringify(entry), /its header describes tensor a as /);
  }
  write({ a: { ...good, dtype: 'F8_E4M3' } }, new Uint8Array(8));
  assertBroken('dtype', /tensor a has dtype F8_E4M3, which taper does not read/);
});

scoped('tensors that overlap, leave holes, or reach out of the file are a CheckpointError', () => {
  const at = (begin: number, end: number, shape = [(end - begin) / 4]) => ({
    dtype: 'F32',
    shape,
    data_offsets: [begin, end],
  });
  const data = new Uint8Array(16);
  const wrong: Record<string, Record<string, unknown>> = {
    overlap: { a: at(0, 12), b: at(8, 16) },
    'the same bytes twice': { a: at(0, 16), b: at(0, 16) },
    'a hole': { a: at(0, 4), b: at(8, 16) },
    'a hole at the start': { a: at(4, 16) },
    'bytes left over': { a: at(0, 12) },
    'no tensor at all': {},
    'out of the file': { a: at(0, 8), b: at(8, 20) },
    'far out of the file': { a: at(0, 2 ** 52) },
    'end before begin': { a: at(8, 0, [2]) },
    'more bytes than the shape needs': { a: at(0, 16, [3]) },
    'fewer bytes than the shape needs': { a: at(0, 16, [5]) },
    'a shape beyond all numbers': { a: at(0, 16, [2 ** 40, 2 ** 40]) },
  };
  for (const [what, header] of Object.entries(wrong)) {
    write(header, data);
    assertBroken(what, /is at bytes|its header describes [\d,]+ bytes/);
  }
});

test('reading belongs to the scope that it stands in, and leaves nothing behind', () => {
  scope(() => writeSafetensors(file, new Map([['a', Tensor.zeros([3])]])));
  const before = liveTensors();
  for (let i = 0; i < 10; i++) scope(() => readSafetensors(file).get('a')!.sum().item());
  assert.equal(liveTensors(), before);
});
