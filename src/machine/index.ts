export { type MachineMemory, machineMemory } from './memory.ts';
export { isCheckout, taperFolder } from './place.ts';
export { defaultDevice, hasBfloat16Products, numProcessors } from './processor.ts';
export { watchProcessors } from './share.ts';
