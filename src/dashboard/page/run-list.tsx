import { useState } from 'preact/hooks';
import { counted } from '../../errors/index.ts';
import { duration } from '../../report/format.ts';
import { titleOf } from '../../report/titles.ts';
import type { RunItem, TuningItem } from '../api.ts';
import { LineSample } from './line-sample.tsx';
import { runStyles } from './theme.ts';
import { tuningText } from './tuning.tsx';
import { mostRuns } from './view.ts';

/** A run, or a fine-tuned model without a known run, with the models that were fine-tuned from it. */
interface Entry {
  item: RunItem | TuningItem;
  children: readonly TuningItem[];
}

/**
 * The runs that match the search, each above the models that were fine-tuned from it. A click shows one, a run's checkbox overlays
 * it on others. The arrow keys move within the list, which is one tab stop.
 */
export function RunList(props: {
  runs: readonly RunItem[];
  tunings: readonly TuningItem[];
  chosen: readonly string[];
  choose: (names: readonly string[]) => void;
}) {
  const { runs, tunings, chosen, choose } = props;
  const [search, setSearch] = useState('');
  const [focused, setFocused] = useState<string | undefined>();
  const words = search.toLowerCase().split(/\s+/);
  const matches = (item: RunItem | TuningItem) =>
    words.every((word) => wordsOf(item).some((text) => text.toLowerCase().includes(word)));
  const entries = [...runs, ...tunings.filter(({ parent }) => parent === null)]
    .sort((a, b) => b.started - a.started)
    .map((item): Entry => ({ item, children: tunings.filter(({ parent }) => parent === item.name) }))
    .map(({ item, children }) => ({ item, children: children.filter((child) => matches(item) || matches(child)) }))
    .filter(({ item, children }) => matches(item) || children.length > 0);
  const names = entries.flatMap(({ item, children }) => [item, ...children].map(({ name }) => name));
  const stop = [focused, ...chosen].find((name) => name !== undefined && names.includes(name)) ?? names[0];
  const row = (item: RunItem | TuningItem) => {
    const at = chosen.indexOf(item.name);
    const isChosen = at >= 0;
    const others = chosen.filter((name) => name !== item.name && runs.some((run) => run.name === name));
    const tabIndex = item.name === stop ? 0 : -1;
    return (
      <div
        class={`row ${isChosen ? 'chosen' : ''}`}
        style={isChosen ? { borderColor: runStyles[at]!.colour } : {}}
        onFocusIn={() => setFocused(item.name)}
      >
        {'state' in item && (
          <input
            type="checkbox"
            aria-label={`overlay ${item.name}`}
            tabIndex={tabIndex}
            checked={isChosen}
            disabled={!isChosen && others.length >= mostRuns}
            onChange={() => choose(isChosen ? others : [...others, item.name])}
          />
        )}
        <button
          type="button"
          tabIndex={tabIndex}
          aria-current={isChosen ? 'true' : undefined}
          onClick={() => choose([item.name])}
        >
          <span class="name">{'state' in item ? titleOf(item) : item.name}</span>
          <span class={`state ${stateOf(item)}`}>{stateOf(item)}</span>
          <span class="numbers">
            {isChosen && chosen.length > 1 && <LineSample {...runStyles[at]!} />}{' '}
            {'state' in item ? numbersOf(item) : tuningText(item)}
          </span>
        </button>
      </div>
    );
  };
  return (
    <nav class="runs" aria-label="runs">
      <input
        type="search"
        placeholder={`search ${counted(runs.length + tunings.length, 'run')}`}
        aria-label="search runs"
        value={search}
        onInput={({ currentTarget }) => setSearch(currentTarget.value)}
      />
      <ul onKeyDown={move}>
        {entries.map(({ item, children }) => (
          <li key={item.name}>
            {row(item)}
            {children.length > 0 && (
              <ul aria-label={`fine-tuned from ${item.name}`}>
                {children.map((child) => (
                  <li key={child.name}>{row(child)}</li>
                ))}
              </ul>
            )}
          </li>
        ))}
      </ul>
      {entries.length === 0 && search !== '' && (
        <p class="empty">
          No run matches “{search}”.{' '}
          <button type="button" class="link" onClick={() => setSearch('')}>
            Show all
          </button>
        </p>
      )}
      <p class="keys">
        <kbd>/</kbd> search, <kbd>↑</kbd> <kbd>↓</kbd> runs, <kbd>←</kbd> <kbd>→</kbd> values of a chart
      </p>
    </nav>
  );
}

/** Moves the focus between rows: from a checkbox to a checkbox if the row has one, else to its button. */
function move(event: KeyboardEvent): void {
  const from = event.target as HTMLElement;
  const list = event.currentTarget as HTMLElement;
  const rows = [...list.querySelectorAll('.row')];
  const at = rows.findIndex((row) => row.contains(from));
  const moves: Record<string, number> = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: rows.length - 1 };
  const row = rows[moves[event.key] ?? -1];
  if (at < 0 || !row) return;
  event.preventDefault();
  const [box, button] = [row.querySelector('input'), row.querySelector('button')];
  (from instanceof HTMLInputElement && box ? box : button)!.focus();
}

const stateOf = (item: RunItem | TuningItem) => ('state' in item ? item.state : 'fine-tuned');

const wordsOf = (item: RunItem | TuningItem) =>
  'state' in item
    ? [item.name, item.text, item.method, item.state]
    : [item.name, item.record?.task ?? '', 'fine-tuned'];

function numbersOf({ method, state, step, steps, loss, heldOutLoss, secondsLeft }: RunItem): string {
  if (state === 'broken') return 'its files cannot be read';
  const losses =
    heldOutLoss !== null ? `held-out ${heldOutLoss.toFixed(3)}` : loss !== null ? `loss ${loss.toFixed(3)}` : '';
  const left = secondsLeft === null ? '' : `${duration(secondsLeft)} left`;
  return [method, `${step.toLocaleString('en')}/${steps.toLocaleString('en')} steps`, losses, left]
    .filter(Boolean)
    .join(' · ');
}
