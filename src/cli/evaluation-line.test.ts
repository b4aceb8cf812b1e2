import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evaluationHead, evaluationLine } from './evaluation-line.ts';

const cells = {
  step: '100000',
  loss: '4.841',
  perplexity: '127',
  accuracy: '24.6 %',
  trainingLoss: '5.012',
  flopsSaved: '26.5 %',
};

test('the table of evaluations has the columns that fit, the important ones first, under their heads', () => {
  assert.equal(evaluationHead(false), '    step  held-out loss  perplexity  accuracy  training loss  FLOPs saved');
  assert.equal(evaluationHead(false, 40), '    step  held-out loss  accuracy');
  assert.equal(evaluationLine(cells, 40), '  100000          4.841    24.6 %');
  assert.equal(evaluationHead(false, 60), '    step  held-out loss  perplexity  accuracy  training loss');
  for (const width of [40, 60, 80, 120]) {
    const [head, line] = [evaluationHead(false, width), evaluationLine(cells, width)];
    assert.ok(head.length <= width && head.length === line.length, `${width}`);
  }
  assert.equal(evaluationHead(false, 80), evaluationHead(false));
  assert.equal(evaluationHead(false, 5), '    step'); // at least the step
  const { flopsSaved: _, ...dense } = cells;
  assert.equal(evaluationHead(true), evaluationHead(false, 60));
  assert.equal(evaluationLine(dense), evaluationLine(cells, 60));
});
