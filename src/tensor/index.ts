/**
 * libtorch tensors with gradients, freed by scopes; safetensors files, devices and collectives.
 *
 * @module taper-lm/tensor
 */
export { type AdamWNumbers, type AdamWUpdate, adamw } from './adamw.ts';
export { allReduce, broadcast, groupOfProcess, type Pending, reduce } from './collectives.ts';
export { checkDevice } from './device.ts';
export { type MuonNumbers, type MuonUpdate, muon } from './muon.ts';
export {
  gpus,
  isCuda,
  NativeError,
  runtime,
  setNumThreads,
  synchronize,
  type TypedArray,
  UseAfterFreeError,
} from './native.ts';
export { dtypeOf, dtypeOn, type Precision } from './precision.ts';
export { firstNonFinite, readSafetensors, writeSafetensors } from './safetensors.ts';
export { keep, liveTensors, noGrad, scope } from './scope.ts';
export {
  type AttentionCache,
  type AttentionOptions,
  type Device,
  type Documents,
  type DropoutOptions,
  type Dtype,
  type Placement,
  Tensor,
} from './tensor.ts';
