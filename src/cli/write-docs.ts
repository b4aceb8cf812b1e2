import { readFileSync, writeFileSync } from 'node:fs';
import { configurationMarkdown, withMetricTables } from './reference.ts';

// Writes what in docs/ is made from the program itself: `npm run docs`.
const docs = new URL('../../../docs/', import.meta.url);
writeFileSync(new URL('configuration.md', docs), configurationMarkdown());
const metrics = new URL('metrics.md', docs);
writeFileSync(metrics, withMetricTables(readFileSync(metrics, 'utf8')));
