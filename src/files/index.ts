export { makeFolder } from './folder.ts';
export { isBeingTrained, lockRun, tryLock } from './lock.ts';
export { npyHeader } from './npy.ts';
export { replaceFile, sync, writing } from './whole.ts';
