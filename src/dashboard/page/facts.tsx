import { commandText, counted, startedText } from '../../errors/index.ts';
import { isDense } from '../../report/charts.ts';
import { bytesText, compact, duration, flopsText, orDash, percent, rounded } from '../../report/format.ts';
import { titleOf } from '../../report/titles.ts';
import type { ShownRun } from '../api.ts';
import { LineSample } from './line-sample.tsx';
import { Table } from './table.tsx';
import { runStyles } from './theme.ts';

type Fact = [name: string, value: string];

/** The key figures of a run, or of several side by side: first what the model can do, then what it cost. */
export function Facts({ runs }: { runs: readonly ShownRun[] }) {
  return (
    <section class="facts" aria-label="results">
      {runs.map((run, i) => (
        <div key={run.name} class="run-facts" style={{ borderColor: runStyles[i]!.colour }}>
          <h2>
            {runs.length > 1 && <LineSample {...runStyles[i]!} />} {titleOf(run)}{' '}
            <span class={`state ${run.state}`}>{run.state}</span>
          </h2>
          <Command run={run} />
          <progress max={run.steps || 1} value={run.step} aria-label={`steps done of ${run.name}`} />
          {run.state === 'stopped' && <Stopped run={run} />}
          {run.brokenLines > 0 && (
            <p class="warning">
              {counted(run.brokenLines, 'line')} of this run's files could not be read; the rest is shown
            </p>
          )}
        </div>
      ))}
      <FactList runs={runs} factsOf={abilityOf} />
      <details open={runs.length > 1}>
        <summary>Cost and speed</summary>
        <FactList runs={runs} factsOf={costOf} />
      </details>
    </section>
  );
}

/** The command that a run was started with, as a person types it. */
function Command({ run: { log } }: { run: ShownRun }) {
  const start = log.find((line) => line.type === 'start');
  return start && 'command' in start ? <code class="command">{startedText(start.command)}</code> : null;
}

/** Why a run stopped early, if it logged the reason, and the command that continues it. */
function Stopped({ run: { log, folder } }: { run: ShownRun }) {
  const end = log.findLast((line) => line.type === 'end');
  return (
    <>
      {end && 'text' in end && <p class="warning">{end.text}</p>}
      <p class="note">
        Continue it with <code>{commandText(['npx', 'taper-lm', 'pretrain', '--resume', '--out', folder])}</code>
      </p>
    </>
  );
}

function FactList({ runs, factsOf }: { runs: readonly ShownRun[]; factsOf: (run: ShownRun) => Fact[] }) {
  const [first, ...others] = runs;
  if (first && others.length === 0) {
    return (
      <dl>
        {factsOf(first).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    );
  }
  const facts = runs.map((run) => new Map(factsOf(run)));
  const names = [...new Set(facts.flatMap((map) => [...map.keys()]))];
  return (
    <Table
      head={['', ...runs.map(({ name }) => name)]}
      rows={names.map((name) => [name, ...facts.map((map) => map.get(name) ?? '–')])}
    />
  );
}

/** The first and the last of several values. */
function change<T>(values: readonly T[], text: (value: T) => string): string {
  const [first, last] = [values[0], values.at(-1)];
  if (first === undefined || last === undefined) return '–';
  return values.length === 1 ? text(last) : `${text(first)} → ${text(last)}`;
}

function abilityOf({ evaluations, step, steps, secondsLeft, loss }: ShownRun): Fact[] {
  const evaluated = evaluations.at(-1)?.step ?? step;
  const when = evaluated === step ? '' : ` at step ${evaluated.toLocaleString('en')}`;
  return [
    ['step', `${step.toLocaleString('en')} of ${steps.toLocaleString('en')}`],
    ...(secondsLeft === null ? [] : [['time left', duration(secondsLeft)] as Fact]),
    [`held-out loss${when}`, change(evaluations, (point) => orDash(point.loss, (loss) => loss.toFixed(3)))],
    [`accuracy${when}`, change(evaluations, ({ accuracy }) => percent(accuracy))],
    [`perplexity${when}`, change(evaluations, ({ perplexity }) => orDash(perplexity, rounded))],
    ['training loss', orDash(loss, (loss) => loss.toFixed(3))],
  ];
}

function costOf(run: ShownRun): Fact[] {
  const { columns, saved, savedAtEnd, peakFlops } = run;
  const last = <T,>(values: readonly T[]) => values.at(-1);
  const atEnd = (fraction: number | null | undefined) =>
    typeof fraction === 'number' ? ` (${percent(fraction)} expected at the end)` : '';
  const flops = last(columns.flopsPerSecond);
  const depth: Fact[] = [
    ['θ', orDash(last(columns.theta), (theta) => theta.toFixed(3))],
    ['expected depth', orDash(last(columns.expectedDepth), (depth) => `${rounded(depth)} of ${run.layers} blocks`)],
    ['block FLOPs saved', percent(saved.blockFlops) + atEnd(savedAtEnd?.blockFlops)],
    ['step FLOPs saved', percent(saved.stepFlops) + atEnd(savedAtEnd?.stepFlops)],
    ['time saved', orDash(saved.time, percent) + atEnd(savedAtEnd?.time)],
  ];
  return [
    ['time in steps', orDash(last(columns.seconds), duration)],
    ['FLOPs so far', orDash(last(columns.flops), flopsText)],
    ['throughput', orDash(last(columns.tokensPerSecond), (speed) => `${compact(speed)} tokens/s`)],
    ['MFU', peakFlops === null ? '–' : orDash(flops, (value) => percent(value / peakFlops))],
    ['data loading', orDash(last(columns.dataShare), (share) => `${percent(share)} of step time`)],
    ['peak memory', orDash(last(columns.peakMemoryBytes), bytesText)],
    ...(isDense(run) ? [] : depth),
  ];
}
