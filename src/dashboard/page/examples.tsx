import { filledTexts, removedWords } from '../../report/filled-texts.ts';
import { percent } from '../../report/format.ts';
import { type Gap, isRight } from '../../runs/gap.ts';
import type { ShownRun } from '../api.ts';
import { Table } from './table.tsx';

/** Held-out sentences with gaps, and how the model filled them in over the run. */
export function Examples({ run, isOpen }: { run: ShownRun; isOpen: boolean }) {
  const { steps, texts } = filledTexts(run.evaluations);
  return (
    <details open={isOpen} class="examples">
      <summary>
        <h3>What {run.name} fills in</h3>
      </summary>
      {texts.length === 0 ? (
        <p class="empty">No filled texts yet: each evaluation fills gaps in held-out sentences.</p>
      ) : (
        <>
          <p class="note">{removedWords(run)}</p>
          <Table
            head={['sentence', ...steps.map((step) => step.toLocaleString('en'))]}
            rows={texts.map(({ gap, guesses }) => [
              <>
                {gap.before}
                <mark>{gap.right}</mark>
                {gap.after}
              </>,
              ...guesses.map((some) => <Guess gap={{ ...gap, guesses: some }} />),
            ])}
          />
        </>
      )}
    </details>
  );
}

/** The first of the guesses; all of them on hover. */
function Guess({ gap }: { gap: Gap }) {
  const { guesses } = gap;
  const first = guesses[0]?.text ?? '–';
  const all = guesses.map(({ text, probability }) => `${text} ${percent(probability)}`).join(', ');
  return (
    <span class={isRight(gap, first) ? 'right' : 'wrong'} title={all}>
      {isRight(gap, first) ? `✓ ${first}` : first}
    </span>
  );
}
