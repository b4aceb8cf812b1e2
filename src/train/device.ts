import { ConfigError } from '../config/index.ts';
import { type Device, NativeError, Tensor } from '../tensor/index.ts';

/** Throws a ConfigError for a device that this machine, or its libtorch, does not have. */
export function checkDevice(device: Device): void {
  try {
    Tensor.full([1], 0, { device }).free();
  } catch (cause) {
    if (!(cause instanceof NativeError)) throw cause;
    const message = `device: ${device} is not on this machine, or its libtorch was built without it; cpu always works`;
    throw new ConfigError(message, { cause });
  }
}
