import { filledTexts } from '../../report/filled-texts.ts';
import { percent } from '../../report/format.ts';
import type { ShownRun } from '../api.ts';
import { Table } from './table.tsx';

/** Held-out texts with gaps, and how the model filled them in over the run. */
export function Examples({ run, isOpen }: { run: ShownRun; isOpen: boolean }) {
  const texts = filledTexts(run.evaluations);
  return (
    <details open={isOpen} class="examples">
      <summary>
        <h3>What {run.name} fills in</h3>
      </summary>
      {texts.length === 0 ? (
        <p class="empty">No filled texts yet: each evaluation fills in some held-out texts.</p>
      ) : (
        <p class="note">Words were removed from held-out texts. The model's first guess for each, over the run:</p>
      )}
      {texts.map(({ parts, right, guesses }) => (
        <div key={parts.join('_')} class="filled">
          <p>
            {parts.map((part, i) => (
              <span key={i}>
                {part} {right[i] !== undefined && <mark>{right[i]}</mark>}{' '}
              </span>
            ))}
          </p>
          <Table
            head={['step', ...right]}
            rows={guesses.map(({ step, gaps }) => [
              step.toLocaleString('en'),
              ...gaps.map(({ guess, right, probability }) => (
                <span class={guess === right ? 'right' : 'wrong'} title={`probability ${percent(probability)}`}>
                  {guess === right ? `✓ ${guess}` : guess}
                </span>
              )),
            ])}
          />
        </div>
      ))}
    </details>
  );
}
