import { type Device, type Dtype, isCuda, noGrad, runtime, scope, synchronize, Tensor } from '../tensor/index.ts';

const maxRounds = 10;
/** No further try begins after this time: one takes seconds on a CPU without bfloat16 support. */
const maxSeconds = 0.5;
/** By what it depends on. */
const measured = new Map<string, number>();

/**
 * The peak FLOPs per second: the fastest of several products of two large square matrices. Model FLOPs utilisation (MFU) is
 * relative to it. A busy machine measures too low. A GPU gets larger matrices, and several products in a row without waiting
 * between them. Measured once in a process.
 */
export function peakFlops(dtype: Dtype, device: Device, size = isCuda(device) ? 8192 : 1024): number {
  const key = [dtype, device, size, runtime().numThreads].join(' ');
  const known = measured.get(key) ?? measure(dtype, device, size);
  measured.set(key, known);
  return known;
}

function measure(dtype: Dtype, device: Device, size: number): number {
  const products = isCuda(device) ? 8 : 1;
  return scope(() =>
    noGrad(() => {
      const x = Tensor.normal([size, size], { std: 0.02, seed: 1, device }).to(dtype);
      if (isCuda(device)) scope(() => x.linear(x)); // the first call initialises cuBLAS
      const seconds: number[] = [];
      const end = performance.now() + 1000 * maxSeconds;
      while (seconds.length === 0 || (seconds.length < maxRounds && performance.now() < end)) {
        synchronize(device);
        const started = performance.now();
        for (let i = 0; i < products; i++) scope(() => x.linear(x));
        synchronize(device);
        seconds.push((performance.now() - started) / 1000);
      }
      return (products * 2 * size ** 3) / Math.min(...seconds);
    }),
  );
}
