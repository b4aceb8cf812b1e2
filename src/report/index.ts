/**
 * Results of runs: records, comparisons, SVG charts and reports.
 *
 * @module taper-lm/report
 */
export { heatMap, type LineChartOptions, lineChart, type Series } from './chart.ts';
export {
  type ComparedRun,
  type ComparedSetting,
  type Comparison,
  type Cost,
  compareRuns,
  costs,
  type Spread,
} from './compare.ts';
export { comparisonNote, comparisonTables, type NamedTable } from './comparison-tables.ts';
export { lossCurves } from './curves.ts';
export { type Report, type ReportedRun, type ReportedTuning, reportHtml, reportOf } from './report.ts';
export { type EvaluationPoint, type RunRecord, readRun } from './run-record.ts';
export { RunReader, type RunView } from './run-view.ts';
