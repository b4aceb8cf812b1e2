import { useEffect, useState } from 'preact/hooks';
import { counted, startedText } from '../../errors/index.ts';
import type { Comparison } from '../../report/compare.ts';
import { comparisonNote, comparisonTables } from '../../report/comparison-tables.ts';
import { bytesText, compact, duration, flopsText, percent, rounded } from '../../report/format.ts';
import type { ShownRun } from '../api.ts';
import { runColours } from './theme.ts';

const orDash = <T,>(value: T | null | undefined, text: (value: T) => string) =>
  value === null || value === undefined ? '–' : text(value);

function Table({
  head,
  rows,
  caption,
}: {
  head: readonly string[];
  rows: readonly (readonly unknown[])[];
  caption?: string;
}) {
  return (
    <div class="table">
      <table>
        {caption && <caption>{caption}</caption>}
        <thead>
          <tr>
            {head.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, i) => (
            <tr key={i}>
              {row.map((cell, j) => (j === 0 ? <th scope="row">{cell as string}</th> : <td>{cell as string}</td>))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The key figures of a run, or of several side by side. */
export function Facts({ runs }: { runs: readonly ShownRun[] }) {
  const [first] = runs;
  const facts = runs.map((run) => new Map(factsOf(run)));
  return (
    <section class="facts" aria-label="results">
      {runs.map((run, i) => (
        <div key={run.name} class="run-facts" style={{ borderColor: runColours[i] }}>
          <h2>
            {run.name} <span class={`state ${run.state}`}>{run.state}</span>
          </h2>
          <progress max={run.steps || 1} value={run.step} aria-label={`steps done of ${run.name}`} />
          {run.state === 'stopped' && <Ending run={run} />}
          {run.brokenLines > 0 && (
            <p class="warning">
              {counted(run.brokenLines, 'line')} of this run's files could not be read; the rest is shown
            </p>
          )}
        </div>
      ))}
      {first && runs.length === 1 ? (
        <dl>
          {factsOf(first).map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      ) : (
        <Table
          head={['', ...runs.map(({ name }) => name)]}
          rows={[...new Set(facts.flatMap((map) => [...map.keys()]))].map((name) => [
            name,
            ...facts.map((map) => map.get(name) ?? '–'),
          ])}
        />
      )}
    </section>
  );
}

/** Why a run stopped early, if it logged the reason. */
function Ending({ run: { log } }: { run: ShownRun }) {
  const end = log.findLast((line) => line.type === 'end');
  return end && 'text' in end ? <p class="warning">{end.text}</p> : null;
}

function factsOf(run: ShownRun): [string, string][] {
  const { columns, evaluations, saved, savedAtEnd } = run;
  const last = <T,>(values: readonly T[]) => values.at(-1);
  const atEnd = (fraction: number | null | undefined) =>
    typeof fraction === 'number' ? ` (${percent(fraction)} expected at the end)` : '';
  const flops = last(columns.flopsPerSecond);
  return [
    ['step', `${run.step.toLocaleString('en')} of ${run.steps.toLocaleString('en')}`],
    ...(run.secondsLeft === null ? [] : [['time left', duration(run.secondsLeft)] as [string, string]]),
    ['training loss', orDash(run.loss, (loss) => loss.toFixed(3))],
    ['held-out loss', orDash(run.heldOutLoss, (loss) => loss.toFixed(3))],
    ['perplexity', orDash(last(evaluations)?.perplexity, rounded)],
    ['accuracy', orDash(last(evaluations)?.accuracy, percent)],
    ['θ', orDash(last(columns.theta), (theta) => theta.toFixed(3))],
    ['expected depth', orDash(last(columns.expectedDepth), (depth) => `${rounded(depth)} of ${run.layers} blocks`)],
    ['block FLOPs saved', percent(saved.blockFlops) + atEnd(savedAtEnd?.blockFlops)],
    ['step FLOPs saved', percent(saved.stepFlops) + atEnd(savedAtEnd?.stepFlops)],
    ['time saved', orDash(saved.time, percent) + atEnd(savedAtEnd?.time)],
    ['throughput', orDash(last(columns.tokensPerSecond), (speed) => `${compact(speed)} tokens/s`)],
    ['MFU', run.peakFlops === null ? '–' : orDash(flops, (value) => percent(value / run.peakFlops!))],
    ['data loading', orDash(last(columns.dataShare), (share) => `${percent(share)} of step time`)],
    ['peak memory', orDash(last(columns.peakMemoryBytes), bytesText)],
    ['step time so far', orDash(last(columns.seconds), duration)],
    ['FLOPs so far', orDash(last(columns.flops), flopsText)],
  ];
}

/** The tables of `taper-lm compare` for the runs. */
export function Compared({ names }: { names: readonly string[] }) {
  const [answer, setAnswer] = useState<Comparison | { error: string } | undefined>();
  const query = new URLSearchParams(names.map((name) => ['run', name])).toString();
  useEffect(() => {
    const asked = new AbortController();
    setAnswer(undefined);
    fetch(`api/compare?${query}`, { signal: asked.signal })
      .then(async (response) => setAnswer(response.ok ? await response.json() : { error: await response.text() }))
      .catch((error: Error) => {
        if (error.name !== 'AbortError') setAnswer({ error: error.message });
      });
    return () => asked.abort();
  }, [query]);
  if (answer === undefined) return <p class="empty">comparing…</p>;
  if ('error' in answer) return <p class="warning">{answer.error}</p>;
  // The server names runs by their folders, in the order of the request.
  const nameOf = (folder: string) => names[answer.runs.findIndex(({ name }) => name === folder)] ?? folder;
  return (
    <section class="compared" aria-label="comparison">
      {comparisonTables(answer, nameOf).map(({ title, rows: [head = [], ...rows] }) => (
        <Table key={title} caption={title} head={head} rows={rows} />
      ))}
      <p class="note">{comparisonNote}</p>
    </section>
  );
}

/** Held-out texts with masked tokens filled in by the model at its evaluations, newest first. */
export function Examples({ run }: { run: ShownRun }) {
  const shown = run.evaluations.filter(({ examples }) => examples.length > 0).reverse();
  if (shown.length === 0) return null;
  return (
    <details open>
      <summary>Held-out texts filled in by {run.name}</summary>
      {shown.slice(0, 1).map(examplesOf)}
      {shown.length > 1 && (
        <details>
          <summary>earlier evaluations</summary>
          {shown.slice(1).map(examplesOf)}
        </details>
      )}
    </details>
  );
}

const examplesOf = ({ step, examples }: ShownRun['evaluations'][0]) => (
  <div key={step} class="examples">
    <h3>step {step.toLocaleString('en')}</h3>
    {examples.map(({ parts, gaps }, i) => (
      <p key={i}>
        {parts.map((part, at) => (
          <span key={at}>
            {part}{' '}
            {gaps[at] && (
              <mark
                class={gaps[at].guess === gaps[at].right ? 'right' : 'wrong'}
                title={`probability ${percent(gaps[at].probability)}`}
              >
                {gaps[at].guess !== gaps[at].right && <s>{gaps[at].guess}</s>}
                {gaps[at].right}
              </mark>
            )}{' '}
          </span>
        ))}
      </p>
    ))}
  </div>
);

/** The resolved configurations side by side. */
export function Configs({ runs }: { runs: readonly ShownRun[] }) {
  const [isWhole, setWhole] = useState(runs.length === 1);
  const maps = runs.map(({ config }) => new Map(config));
  const keys = [...new Set(maps.flatMap((map) => [...map.keys()]))];
  const values = (key: string) => maps.map((map) => map.get(key) ?? '–');
  const shown = keys.filter((key) => isWhole || new Set(values(key)).size > 1);
  return (
    <details open={runs.length > 1}>
      <summary>Configuration{runs.length > 1 && ': differences'}</summary>
      {runs.length > 1 && (
        <label>
          <input type="checkbox" checked={isWhole} onChange={({ currentTarget }) => setWhole(currentTarget.checked)} />{' '}
          show all settings
        </label>
      )}
      {shown.length === 0 ? (
        <p class="empty">no differences</p>
      ) : (
        <Table head={['setting', ...runs.map(({ name }) => name)]} rows={shown.map((key) => [key, ...values(key)])} />
      )}
    </details>
  );
}

/** The log of a run, newest first. */
export function Log({ run }: { run: ShownRun }) {
  if (run.log.length === 0) return null;
  return (
    <details>
      <summary>
        Log of {run.name} ({counted(run.log.filter(({ type }) => type === 'warning').length, 'warning')})
      </summary>
      <ol class="log">
        {[...run.log].reverse().map((line, i) => (
          <li key={i} class={line.type}>
            <time>{line.time.slice(0, 19).replace('T', ' ')}</time> step {line.step}: {textOf(line)}
          </li>
        ))}
      </ol>
    </details>
  );
}

function textOf(line: ShownRun['log'][0]): string {
  if (line.type !== 'start') return `${line.type === 'note' ? '' : `${line.type}: `}${line.text}`;
  const { taper, libtorch, processor, threads, ranks } = line.environment;
  const command = startedText(line.command);
  return `${command} — taper ${taper}, libtorch ${libtorch}, ${processor}, ${counted(threads, 'thread')}, ${counted(ranks, 'rank')}`;
}
