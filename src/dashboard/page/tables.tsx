import { useEffect, useState } from 'preact/hooks';
import { counted, startedText } from '../../errors/index.ts';
import type { Comparison } from '../../report/compare.ts';
import { comparisonNote, comparisonTables } from '../../report/comparison-tables.ts';
import type { ShownRun } from '../api.ts';
import { Table } from './table.tsx';

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
