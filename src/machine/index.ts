export { type MachineMemory, machineMemory } from './memory.ts';
export { defaultDevice, hasBfloat16Products, numProcessors } from './processor.ts';
