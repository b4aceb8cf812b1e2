import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import { type Axis, axes } from '../../report/charts.ts';
import { Figures } from './figures.tsx';
import { useLive } from './live.ts';
import { RunList } from './run-list.tsx';
import './style.css';
import { Compared, Configs, Examples, Facts, Log } from './tables.tsx';
import { useView, type View } from './view.ts';

function App() {
  const [view, change] = useView();
  const { items, views, failures, trouble } = useLive(view.runs);
  const runs = view.runs.flatMap((name) => views.get(name) ?? []);
  const missing = items ? view.runs.filter((name) => items.every((item) => item.name !== name)) : [];
  const first = items && (items.find(({ state }) => state === 'training') ?? items[0])?.name;
  useEffect(() => {
    if (first !== undefined && view.runs.length === 0) change({ runs: [first] });
  }, [first, view.runs.length]);
  useEffect(() => {
    document.title = view.runs.length === 1 ? `${view.runs[0]} – taper` : 'taper';
  }, [view.runs]);
  return (
    <>
      <header>
        <h1>taper</h1>
        {trouble && <p class="warning">{trouble}</p>}
      </header>
      <div class="layout">
        {items && (
          <RunList
            items={items}
            chosen={view.runs}
            choose={(names) => change({ runs: names, isComparing: view.isComparing && names.length > 1 })}
          />
        )}
        <main>
          {items?.length === 0 && (
            <p class="empty">
              no runs in this folder yet: start one with npx taper-lm pretrain … --out, and it appears here
            </p>
          )}
          {missing.map((name) => (
            <p key={name} class="warning">
              {name}: no such run in this folder
            </p>
          ))}
          {view.runs.map(
            (name) =>
              failures.has(name) && (
                <p key={name} class="warning">
                  {name}: {failures.get(name)}
                </p>
              ),
          )}
          {runs.length > 0 && (
            <>
              <Facts runs={runs} />
              <Controls view={view} change={change} numRuns={runs.length} />
              {view.isComparing && runs.length > 1 && <Compared names={view.runs} />}
              <Figures runs={runs} view={view} />
              {runs.map((run) => (
                <Examples key={run.name} run={run} />
              ))}
              <Configs key={runs.length} runs={runs} />
              {runs.map((run) => (
                <Log key={run.name} run={run} />
              ))}
            </>
          )}
        </main>
      </div>
    </>
  );
}

function Controls({ view, change, numRuns }: { view: View; change: (some: Partial<View>) => void; numRuns: number }) {
  return (
    <form class="controls" aria-label="chart options" onSubmit={(event) => event.preventDefault()}>
      <label>
        x-axis{' '}
        <select value={view.x} onChange={({ currentTarget }) => change({ x: currentTarget.value as Axis })}>
          {Object.entries(axes).map(([key, name]) => (
            <option key={key} value={key}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label>
        <input
          type="checkbox"
          checked={view.isLog}
          onChange={({ currentTarget }) => change({ isLog: currentTarget.checked })}
        />{' '}
        log scale
      </label>
      <label>
        smoothing{' '}
        <input
          type="range"
          min="0"
          max="0.99"
          step="0.01"
          value={view.smoothing}
          onInput={({ currentTarget }) => change({ smoothing: Number(currentTarget.value) })}
        />
      </label>
      {numRuns > 1 && (
        <label>
          <input
            type="checkbox"
            checked={view.isComparing}
            onChange={({ currentTarget }) => change({ isComparing: currentTarget.checked })}
          />{' '}
          compare
        </label>
      )}
    </form>
  );
}

render(<App />, document.querySelector('#app')!);
