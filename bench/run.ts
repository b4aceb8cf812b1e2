import { data } from './data.ts';
import { memory } from './memory.ts';
import { speed } from './speed.ts';

// npm run bench            speed beside PyTorch, of single operations, and how it scales
// npm run bench -- data FILES… | memory FILES…

const benchmarks: Record<string, (args: string[]) => void | Promise<void>> = {
  speed: () => speed(),
  data: (args) => data(args),
  memory: (args) => memory(args),
};

const [name = 'speed', ...args] = process.argv.slice(2);
const benchmark = benchmarks[name];
if (benchmark) {
  await benchmark(args);
} else {
  console.error(`npm run bench -- ${Object.keys(benchmarks).join(' | ')}`);
  process.exitCode = 2;
}
