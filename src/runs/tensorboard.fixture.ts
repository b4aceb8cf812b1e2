// For tests: reads TensorBoard's files by means that the writer does not use.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import protobuf from 'protobufjs';

// The fields that are needed, with their numbers, from event.proto, summary.proto, histogram.proto, tensor.proto,
// tensor_shape.proto and types.proto in https://github.com/tensorflow/tensorboard/tree/master/tensorboard/compat/proto;
// optional where a zero is written as well.
const { root } = protobuf.parse(`
  syntax = "proto3";
  message Event {
    double wall_time = 1;
    optional int64 step = 2;
    oneof what { string file_version = 3; Summary summary = 5; SessionLog session_log = 7; }
  }
  message SessionLog {
    enum SessionStatus { STATUS_UNSPECIFIED = 0; START = 1; STOP = 2; CHECKPOINT = 3; }
    SessionStatus status = 1;
  }
  message Summary {
    message Value {
      string tag = 1;
      SummaryMetadata metadata = 9;
      oneof value { float simple_value = 2; HistogramProto histo = 5; TensorProto tensor = 8; }
    }
    repeated Value value = 1;
  }
  message SummaryMetadata {
    message PluginData { string plugin_name = 1; bytes content = 2; }
    PluginData plugin_data = 1;
    DataClass data_class = 4;
  }
  enum DataClass { DATA_CLASS_UNKNOWN = 0; DATA_CLASS_SCALAR = 1; DATA_CLASS_TENSOR = 2; }
  message HistogramProto {
    optional double min = 1;
    optional double max = 2;
    optional double num = 3;
    optional double sum = 4;
    optional double sum_squares = 5;
    repeated double bucket_limit = 6 [packed = true];
    repeated double bucket = 7 [packed = true];
  }
  message TensorProto {
    DataType dtype = 1;
    TensorShapeProto tensor_shape = 2;
    repeated bytes string_val = 8;
  }
  message TensorShapeProto {
    message Dim { int64 size = 1; }
    repeated Dim dim = 2;
  }
  enum DataType { DT_INVALID = 0; DT_FLOAT = 1; DT_STRING = 7; }
`);
const eventType = root.lookupType('Event');

/** An Event under the names of its fields. */
export interface Event {
  wallTime: number;
  step: number;
  fileVersion?: string;
  sessionLog?: { status: string };
  summary?: { value: Value[] };
}

export interface Value {
  tag: string;
  metadata?: unknown;
  simpleValue?: number;
  histo?: Record<'min' | 'max' | 'num' | 'sum' | 'sumSquares', number> & Record<'bucketLimit' | 'bucket', number[]>;
  tensor?: { dtype: string; tensorShape: unknown; stringVal: Uint8Array[] };
}

/** The reflected CRC with Castagnoli's polynomial, bit by bit: RFC 3720, appendix B.4. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

/** The events of a file. Throws where a length or a checksum is wrong, or a field is not one of the above. */
export function readEvents(path: string): Event[] {
  const bytes = readFileSync(path);
  const events: Event[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    const data = bytes.subarray(at + 12, at + 12 + length);
    assertChecksum(bytes.subarray(at, at + 8), bytes.readUInt32LE(at + 8));
    assertChecksum(data, bytes.readUInt32LE(at + 12 + length));
    const event = eventType.decode(data);
    assert.deepEqual(
      Buffer.from(eventType.encode(event).finish()),
      data,
      'nothing in it that the reader does not know',
    );
    events.push(eventType.toObject(event, { longs: Number, enums: String }) as Event);
    at += length + 16;
  }
  return events;
}

/** What is stored is masked, as tensorflow/core/lib/hash/crc32c.h has it: `Unmask`. */
function assertChecksum(bytes: Uint8Array, masked: number): void {
  const rotated = (masked - 0xa282ead8) >>> 0;
  assert.equal(((rotated >>> 17) | (rotated << 15)) >>> 0, crc32c(bytes));
}

/** The files of a folder in the order in which TensorBoard reads them. */
export function eventFiles(folder: string): string[] {
  return readdirSync(folder)
    .sort()
    .map((name) => join(folder, name));
}

/**
 * What TensorBoard shows of a folder as the steps and values of a tag: a START that is not the first drops what came
 * before it at its step and later (`plugin_event_accumulator.py`, `_CheckForRestartAndMaybePurge`).
 */
export function shownValues(folder: string, tag: string): { step: number; value: Value }[] {
  let shown: { step: number; value: Value }[] = [];
  let isRestart = false;
  for (const { step, sessionLog, summary } of eventFiles(folder).flatMap(readEvents)) {
    if (sessionLog?.status === 'START') {
      if (isRestart) shown = shown.filter((other) => other.step < step);
      isRestart = true;
    }
    const value = summary?.value.find((candidate) => candidate.tag === tag);
    if (value) shown.push({ step, value });
  }
  return shown;
}
