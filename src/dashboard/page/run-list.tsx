import { useState } from 'preact/hooks';
import { counted } from '../../errors/index.ts';
import { duration } from '../../report/format.ts';
import type { RunItem } from '../api.ts';
import { runColours } from './theme.ts';
import { mostRuns } from './view.ts';

/** The runs that match the search; a click shows one run, its checkbox overlays it on the others. */
export function RunList(props: {
  items: readonly RunItem[];
  chosen: readonly string[];
  choose: (names: readonly string[]) => void;
}) {
  const { items, chosen, choose } = props;
  const [search, setSearch] = useState('');
  const words = search.toLowerCase().split(/\s+/);
  const shown = items.filter(({ name, method, state }) =>
    words.every((word) => `${name} ${method} ${state}`.toLowerCase().includes(word)),
  );
  return (
    <nav class="runs" aria-label="runs">
      <input
        type="search"
        placeholder={`search ${counted(items.length, 'run')}`}
        aria-label="search runs"
        value={search}
        onInput={({ currentTarget }) => setSearch(currentTarget.value)}
      />
      <ul>
        {shown.map((item) => {
          const at = chosen.indexOf(item.name);
          const isChosen = at >= 0;
          const toggled = isChosen ? chosen.filter((name) => name !== item.name) : [...chosen, item.name];
          return (
            <li
              key={item.name}
              class={isChosen ? 'chosen' : ''}
              style={isChosen ? { borderColor: runColours[at] } : {}}
            >
              <input
                type="checkbox"
                aria-label={`overlay ${item.name}`}
                checked={isChosen}
                disabled={!isChosen && chosen.length >= mostRuns}
                onChange={() => choose(toggled)}
              />
              <button type="button" onClick={() => choose([item.name])}>
                <span class="name">{item.name}</span>
                <span class={`state ${item.state}`}>{item.state}</span>
                <span class="numbers">{numbersOf(item)}</span>
              </button>
            </li>
          );
        })}
      </ul>
      {shown.length === 0 && items.length > 0 && <p class="empty">no matching runs</p>}
    </nav>
  );
}

function numbersOf({ method, state, step, steps, loss, heldOutLoss, secondsLeft }: RunItem): string {
  if (state === 'broken') return 'its files cannot be read';
  const losses =
    heldOutLoss !== null ? `held-out ${heldOutLoss.toFixed(3)}` : loss !== null ? `loss ${loss.toFixed(3)}` : '';
  const left = secondsLeft === null ? '' : `${duration(secondsLeft)} left`;
  return [method, `${step.toLocaleString('en')}/${steps.toLocaleString('en')}`, losses, left]
    .filter(Boolean)
    .join(' · ');
}
