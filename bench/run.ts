import { dashboard } from './dashboard.ts';
import { data } from './data.ts';
import { duplicates } from './duplicates.ts';
import { firstHour } from './first-hour/index.ts';
import { gates } from './gates.ts';
import { large } from './large.ts';
import { memory } from './memory.ts';
import { memoryEstimate } from './memory-estimate.ts';
import { models } from './models.ts';
import { onnx } from './onnx.ts';
import { order, orderOpening } from './order.ts';
import { plan } from './plan.ts';
import { quality } from './quality/index.ts';
import { reading } from './reading.ts';
import { scaling, scalingNetwork, scalingWork } from './scaling.ts';
import { serve } from './serving.ts';
import { speed } from './speed.ts';

// npm run bench            speed beside PyTorch, of single operations, and how it scales
// npm run bench -- dashboard  a hundred long runs, and what a training step feels of an open page
// npm run bench -- first-hour BOOKS MAILS [CHECKPOINT]  a classifier of one's own texts: pre-trained, untrained, naive Bayes
// npm run bench -- gates     how even steps are with each kind of gates, and what two ranks wait
// npm run bench -- models    models of today beside transformers'
// npm run bench -- quality BOOKS  minutes to one held-out accuracy: transformers' Trainer, and one recipe of taper after the other
// npm run bench -- plan FILES…     what `taper-lm plan --measure` says beside what runs take
// npm run bench -- onnx TEXTS CHECKPOINT…     size and agreement of exported models
// npm run bench -- scaling FILES…  steps of two ranks over several links (as root)
// npm run bench -- serve     many requests to a server, its memory, and what others feel of slow clients
// npm run bench -- order     the order of samples at scale: memory, time to the first micro-batch, places that are read
// npm run bench -- reading   memory to read files of 640 MB
// npm run bench -- duplicates  speed, memory and accuracy of the search for duplicates in a generated text of 2 GB
// npm run bench -- large [GB FILES]  5 GB in one file, and 100,000 files: time and memory to prepare them
// npm run bench -- data FILES… | memory FILES…
// npm run bench -- estimate FILES…  the memory that `taper-lm plan` estimates beside what steps take

const benchmarks: Record<string, (args: string[]) => void | Promise<void>> = {
  speed: () => speed(),
  dashboard: () => dashboard(),
  'first-hour': (args) => firstHour(args),
  gates: () => gates(),
  models: () => models(),
  order: () => order(),
  'order-opening': (args) => orderOpening(args),
  plan: (args) => plan(args),
  onnx: (args) => onnx(args),
  data: (args) => data(args),
  duplicates: () => duplicates(),
  memory: (args) => memory(args),
  quality: (args) => quality(args),
  reading: () => reading(),
  large: (args) => large(args),
  estimate: (args) => memoryEstimate(args),
  serve: () => serve(),
  scaling: (args) => scaling(args),
  'scaling-work': () => scalingWork(),
  'scaling-network': () => scalingNetwork(),
};

const [name = 'speed', ...args] = process.argv.slice(2);
const benchmark = benchmarks[name];
if (benchmark) {
  await benchmark(args);
} else {
  console.error(`npm run bench -- ${Object.keys(benchmarks).join(' | ')}`);
  process.exitCode = 2;
}
