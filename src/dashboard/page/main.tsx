import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import { type Axis, axes } from '../../report/charts.ts';
import { Examples } from './examples.tsx';
import { Facts } from './facts.tsx';
import { Figures } from './figures.tsx';
import { useLive } from './live.ts';
import { RunList } from './run-list.tsx';
import './style.css';
import { Compared, Configs, Log } from './tables.tsx';
import { Tuning, Tunings } from './tuning.tsx';
import { useView, type View } from './view.ts';

function App() {
  const [view, change] = useView();
  // Without a run in its address, the page follows the live run, or the newest.
  const { names, list, views, failures, trouble } = useLive(view.runs);
  const known = new Set([...(list?.runs ?? []), ...(list?.tunings ?? [])].map(({ name }) => name));
  const missing = list ? names.filter((name) => !known.has(name)) : [];
  const tuning = list?.tunings.find(({ name }) => name === names[0]);
  const runs = names.flatMap((name) => views.get(name) ?? []);
  const isLoading =
    !list || (runs.length === 0 && !tuning && names.some((name) => known.has(name) && !failures.has(name)));
  const choose = (chosen: readonly string[]) =>
    change({ runs: chosen, isComparing: view.isComparing && chosen.length > 1 });
  useEffect(() => {
    document.title = names.length === 1 ? `${names[0]} – taper` : 'taper';
  }, [names.join()]);
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key !== '/' || event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      document.querySelector<HTMLInputElement>('.runs input[type=search]')?.focus();
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, []);
  return (
    <>
      <button type="button" class="skip" onClick={() => document.querySelector<HTMLElement>('main')!.focus()}>
        Skip to the run
      </button>
      <header>
        <h1>taper</h1>
        {trouble && <p class="warning">{trouble}</p>}
      </header>
      <div class="layout">
        {list && <RunList runs={list.runs} tunings={list.tunings} chosen={names} choose={choose} />}
        <main tabIndex={-1}>
          {isLoading && <p class="empty">loading {names.join(', ') || 'the runs'}…</p>}
          {list && known.size === 0 && <NoRuns />}
          {missing.map((name) => (
            <p key={name} class="warning">
              {name}: no such run in this folder
            </p>
          ))}
          {names.map(
            (name) =>
              failures.has(name) && (
                <p key={name} class="warning">
                  {name}: {failures.get(name)}
                </p>
              ),
          )}
          {tuning && <Tuning tuning={tuning} choose={choose} />}
          {runs.length > 0 && (
            <>
              <Facts runs={runs} />
              {runs.map(({ name }) => (
                <Tunings key={name} run={name} tunings={list?.tunings ?? []} choose={choose} />
              ))}
              {runs.map((run) => (
                <Examples key={run.name} run={run} isOpen={runs.length === 1} />
              ))}
              <Controls view={view} change={change} numRuns={runs.length} />
              {view.isComparing && runs.length > 1 && <Compared names={names} />}
              <Figures runs={runs} view={view} />
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

function NoRuns() {
  return (
    <div class="empty">
      <p>No runs in this folder yet. Start one in a terminal; it appears here at once:</p>
      <code class="command">npm start</code>
      <p>trains a small model in a few minutes. With your own texts:</p>
      <code class="command">npx taper-lm pretrain configs/encoder.yaml --data my/texts --out runs/mine</code>
    </div>
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

const app = document.querySelector('#app')!;
app.replaceChildren(); // the text that is shown until here
render(<App />, app);
