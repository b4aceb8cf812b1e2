import { useEffect, useState } from 'preact/hooks';
import { type Axis, axes } from '../../report/charts.ts';

/** The state of the page, kept in its address so that a view can be bookmarked and shared. */
export interface View {
  runs: readonly string[];
  x: Axis;
  isLog: boolean;
  /** The weight of the average so far in a smoothed line, 0 to 0.99. */
  smoothing: number;
  isComparing: boolean;
}

/** The most runs that can be told apart in one chart. */
export const mostRuns = 8;

function read(): View {
  const words = new URLSearchParams(location.hash.slice(1));
  const x = words.get('x') ?? '';
  const smoothing = Number(words.get('smooth') ?? 0.8);
  return {
    runs: words.getAll('run').slice(0, mostRuns),
    x: Object.hasOwn(axes, x) ? (x as Axis) : 'step',
    isLog: words.get('log') === '1',
    smoothing: smoothing >= 0 && smoothing < 1 ? smoothing : 0.8,
    isComparing: words.get('compare') === '1',
  };
}

function write({ runs, x, isLog, smoothing, isComparing }: View): void {
  const words = new URLSearchParams(runs.map((run) => ['run', run]));
  words.set('x', x);
  words.set('smooth', String(smoothing));
  if (isLog) words.set('log', '1');
  if (isComparing) words.set('compare', '1');
  location.hash = words.toString();
}

/** The view in the address, and a function that changes parts of it. */
export function useView(): [View, (change: Partial<View>) => void] {
  const [view, setView] = useState(read);
  useEffect(() => {
    const follow = () => setView(read());
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  return [view, (change) => write({ ...read(), ...change })];
}
