import { cpus, hostname, totalmem } from 'node:os';
import { type Config, packageVersion } from '../config/index.ts';
import type { ProcessGroup } from '../distributed/index.ts';
import { numProcessors } from '../machine/index.ts';
import type { Environment } from '../runs/index.ts';
import { dtypeOf, runtime } from '../tensor/index.ts';
import { peakFlops } from './peak.ts';

/** The software and hardware of a run, as its log records them when training begins. */
export function environmentOf({ train }: Config, group: ProcessGroup): Environment {
  const { numThreads: threads, torchVersion: libtorch, matmulLibrary: matmul } = runtime();
  return {
    taper: packageVersion(),
    node: process.versions.node,
    libtorch,
    matmul,
    host: hostname(),
    processor: cpus()[0]?.model ?? process.arch,
    processors: numProcessors(),
    memoryBytes: totalmem(),
    threads,
    device: train.device,
    ranks: group.size,
    peakFlops: peakFlops(dtypeOf[train.precision], train.device),
  };
}
