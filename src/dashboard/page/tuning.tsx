import { commandText, counted, startedText } from '../../errors/index.ts';
import { percent } from '../../report/format.ts';
import { scoreRows, scoresText } from '../../report/tunings.ts';
import type { TuningItem } from '../api.ts';
import { Chart } from './chart.tsx';
import { Table } from './table.tsx';
import { runStyles } from './theme.ts';

const unrecorded = 'an earlier version of taper did not record its scores';

/** The scores of a fine-tuned model in a few words. */
export const tuningText = ({ record }: TuningItem) => (record ? scoresText(record) : 'no scores');

/** A fine-tuned model: what it was made of, its scores, and how to use it. */
export function Tuning({ tuning, choose }: { tuning: TuningItem; choose: (names: readonly string[]) => void }) {
  const { name, folder, parent, record } = tuning;
  const isEmbedding = record?.labels === null;
  const [head = [], ...rows] = record ? scoreRows(record) : [];
  const next = isEmbedding
    ? ['embed', folder, '--in', 'texts.jsonl', '--out', 'vectors.npy']
    : ['predict', folder, 'A text of yours.'];
  return (
    <>
      <section class="facts" aria-label="results">
        <div class="run-facts" style={{ borderColor: runStyles[0]!.colour }}>
          <h2>
            {name} <span class="state">fine-tuned</span>
          </h2>
          <p>
            {record
              ? `${record.task}, ${counted(record.examples, 'training example')}`
              : `A fine-tuned model; ${unrecorded}`}
            {parent !== null ? (
              <>
                , from{' '}
                <button type="button" class="link" onClick={() => choose([parent])}>
                  {parent}
                </button>
              </>
            ) : (
              record && `, from ${record.from}`
            )}
            {record?.labels && record.labels.length > 0 && `. Labels: ${record.labels.join(', ')}`}
          </p>
          {record && <code class="command">{startedText(record.command)}</code>}
        </div>
      </section>
      {record && <Table caption="Scores of the best epoch" head={head} rows={rows} />}
      {record?.seeds.some(({ history }) => history.length > 1) && (
        <Chart
          title="Score after each epoch"
          yLabel={`${record.decidedBy ?? 'score'} on the development set, which decides`}
          format={percent}
          xLabel="epochs"
          formatX={(epoch) => (Number.isInteger(epoch) ? String(epoch) : '')}
          sayX={(epoch) => counted(epoch, 'epoch')}
          lines={record.seeds.map(({ seed, history }, i) => ({
            ...runStyles[i % runStyles.length]!,
            name: `seed ${seed}`,
            x: history.map((_, epoch) => epoch + 1),
            y: history,
            hasPoints: true,
          }))}
        />
      )}
      <section>
        <h3>What next</h3>
        <code class="command">{commandText(['npx', 'taper-lm', ...next])}</code>
        <code class="command">{commandText(['npx', 'taper-lm', 'report', folder, '-o', 'report.html'])}</code>
      </section>
    </>
  );
}

/** The models that were fine-tuned from a run. */
export function Tunings(props: {
  tunings: readonly TuningItem[];
  run: string;
  choose: (names: readonly string[]) => void;
}) {
  const { tunings, run, choose } = props;
  const own = tunings.filter(({ parent }) => parent === run);
  if (own.length === 0) return null;
  return (
    <Table
      caption={`Fine-tuned from ${run}`}
      head={['model', 'task', 'scores']}
      rows={own.map((tuning) => [
        <button type="button" class="link" onClick={() => choose([tuning.name])}>
          {tuning.name}
        </button>,
        tuning.record?.task ?? '–',
        tuningText(tuning),
      ])}
    />
  );
}
