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
  assert.equal(evaluationHead(), '    step  held-out loss  perplexity  accuracy  training loss  FLOPs saved');
  assert.equal(evaluationHead(40), '    step  held-out loss  accuracy');
  assert.equal(evaluationLine(cells, 40), '  100000          4.841    24.6 %');
  assert.equal(evaluationHead(60), '    step  held-out loss  perplexity  accuracy  training loss');
  for (const width of [40, 60, 80, 120]) {
    const [head, line] = [evaluationHead(width), evaluationLine(cells, width)];
    assert.ok(head.length <= width && head.length === line.length, `${width}`);
  }
  assert.equal(evaluationHead(80), evaluationHead());
  assert.equal(evaluationHead(5), '    step'); // at least the step
});
