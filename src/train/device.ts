import type { Config } from '../config/index.ts';
import type { RankEnvironment } from '../distributed/index.ts';
import { ConfigError } from '../errors/index.ts';
import { checkDevice, type Device, gpus, isCuda } from '../tensor/index.ts';

/**
 * Prepares the device of a run before anything is on a GPU: with `cuda:N`, `cuda` then means GPU N, and each rank on a machine
 * gets its own GPU.
 *
 * @throws ConfigError for a missing device, and for more ranks than GPUs.
 */
export function prepareDevice(
  { device, tf32 }: Pick<Config['train'], 'device' | 'tf32'>,
  environment: RankEnvironment | undefined,
): void {
  if (isCuda(device) && gpus.count() > 0) {
    const index = environment ? gpuOfRank(device, environment) : Number(device.split(':')[1] ?? 0);
    if (index < gpus.count()) gpus.use(index);
  }
  checkDevice(device);
  if (isCuda(device)) gpus.setTf32(tf32);
}

function gpuOfRank(device: Device, { localRank }: RankEnvironment): number {
  if (device !== 'cuda') {
    throw new ConfigError(
      `train.device: every rank would use ${device}; set it to cuda, so that rank N of a machine uses cuda:N`,
    );
  }
  if (localRank >= gpus.count()) {
    throw new ConfigError(
      `train.device: this machine has fewer GPUs (${gpus.count()}) than ranks (at least ${localRank + 1}); start one rank per GPU`,
    );
  }
  return localRank;
}
