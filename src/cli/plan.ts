import { Command } from 'commander';
import type { Config, LoadedConfig } from '../config/index.ts';
import {
  type DepthState,
  depthMethod,
  expectedDepth,
  type PlannedCost,
  parameterCount,
  plannedCost,
  resolveGamma,
  type StepShape,
} from '../depth/index.ts';
import { type ConfigOptions, configArgument, configOf, deepSpeedOption, jsonOption, setOption } from './config.ts';
import { flopsText, percent, rounded, table } from './format.ts';

/** Where in a run its schedule is shown, as fractions: it changes most at the start. */
const shownAt = [0, 0.01, 0.02, 0.05, 0.1, 0.5, 1];

/** What a configuration will do before a step of it is trained. */
interface Plan extends PlannedCost {
  parameters: number;
  steps: number;
  layers: number;
  method: Config['depth']['method'];
  /** In 1/steps; null without a schedule in time. */
  gamma: number | null;
  thetaBar: number | null;
  schedule: ({ step: number; expectedDepth: number } & Pick<DepthState, 'theta' | 'keepRates'>)[];
  warnings: string[];
}

/** `taper plan`: what a schedule will do, before time is spent on it. */
export function planCommand(): Command {
  return new Command('plan')
    .description('show which blocks a configuration will run when, and the FLOPs that this saves, without training')
    .argument(...configArgument)
    .addOption(setOption())
    .addOption(deepSpeedOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  taper plan configs/bert-base.yaml --set depth.thetaBar=0.7')
    .action((file: string | undefined, options: ConfigOptions & { json?: boolean }, command: Command) => {
      const plan = planOf(configOf(file, options, command));
      if (!options.json) for (const warning of plan.warnings) process.stderr.write(`warning: ${warning}\n`);
      process.stdout.write(options.json ? `${JSON.stringify(plan)}\n` : planText(plan));
    });
}

/** The shape of one optimizer step of a configuration, with the mean number of masked tokens. */
export function shapeOf({ model, data, train }: Config): StepShape {
  const nsp = data.objective === 'mlm+nsp';
  const wordTokens = data.sequenceLength - (nsp ? 3 : 2); // without [CLS] and each [SEP]
  return {
    ...model,
    sequenceLength: data.sequenceLength,
    sequences: train.batchSize,
    maskedTokens: train.batchSize * Math.max(1, Math.round(data.maskRate * wordTokens)),
    nsp,
  };
}

function planOf({ config, warnings }: LoadedConfig): Plan {
  const { depth, model, train } = config;
  const method = depthMethod(depth, model.layers, train.steps);
  const steps = [...new Set(shownAt.map((fraction) => Math.round(fraction * (train.steps - 1))))];
  const isScheduled = depth.method === 'pld';
  const shape = shapeOf(config);
  return {
    parameters: parameterCount(shape),
    steps: train.steps,
    layers: model.layers,
    method: depth.method,
    gamma: isScheduled ? resolveGamma(depth.gamma, train.steps) : null,
    thetaBar: isScheduled ? depth.thetaBar : null,
    ...plannedCost(method, train.steps, shape, train.batchSize / train.microBatchSize),
    schedule: steps.map((step) => {
      const { theta, keepRates } = method(step);
      return { step, theta, expectedDepth: expectedDepth(keepRates), keepRates };
    }),
    warnings,
  };
}

function planText(plan: Plan): string {
  const { schedule, layers, gamma, thetaBar } = plan;
  const number = (value: number) => value.toFixed(3);
  const limits = thetaBar === null ? '' : `, θ falls from 1 to ${thetaBar} with γ = ${rounded(gamma!)} per step`;
  const facts = [
    ['method', `${plan.method}${limits}`],
    ['model', `${rounded(plan.parameters / 1e6)} million parameters, ${layers} blocks`],
    ['blocks run', `${plan.meanDepth.toFixed(2)} of ${layers} on average over ${plan.steps} steps`],
    ['work', `${flopsText(plan.expectedFlops)}; every block on: ${flopsText(plan.denseFlops)}`],
    ['block FLOPs saved', `${percent(plan.blockFlopsSaved)} (of the work in the blocks)`],
    ['step FLOPs saved', `${percent(plan.stepFlopsSaved)} (of all work: heads and embeddings are never dropped)`],
  ];
  const rows = [
    ['step', ...schedule.map(({ step }) => String(step))],
    ['θ', ...schedule.map(({ theta }) => number(theta))],
    ['blocks run', ...schedule.map(({ expectedDepth }) => expectedDepth.toFixed(2))],
    ...Array.from({ length: layers }, (_, block) => [
      `block ${block + 1}`,
      ...schedule.map(({ keepRates }) => number(keepRates[block]!)),
    ]),
  ];
  return `${facts.map(([name, value]) => `${name!.padEnd(19)}${value}\n`).join('')}\nHow likely each block is to run:\n${table(rows)}`;
}
