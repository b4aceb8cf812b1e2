import { existsSync, readFileSync } from 'node:fs';

/**
 * Whether this machine's processor multiplies bfloat16 numbers itself (AVX-512 BF16; what has AMX has that too). Without
 * it bfloat16 is slower than float32. Known on Linux only; elsewhere false.
 */
export function hasBfloat16Products(cpuInfo = '/proc/cpuinfo'): boolean {
  return existsSync(cpuInfo) && /^flags\s*:.*\bavx512_bf16\b/m.test(readFileSync(cpuInfo, 'utf8'));
}
