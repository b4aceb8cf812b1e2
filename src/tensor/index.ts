export { NativeError, runtime, setNumThreads, type TypedArray, UseAfterFreeError } from './native.ts';
export { readSafetensors, writeSafetensors } from './safetensors.ts';
export { liveTensors, noGrad, scope } from './scope.ts';
export { type AdamWNumbers, adamw, type Device, type Dtype, type Placement, Tensor } from './tensor.ts';
