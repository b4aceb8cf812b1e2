import { readFileSync, writeFileSync } from 'node:fs';
import { configurationMarkdown, withMetricTables } from './reference.ts';

// `npm run docs`: writes the parts of docs/ that are generated from the program.
const docs = new URL('../../../docs/', import.meta.url);
writeFileSync(new URL('configuration.md', docs), configurationMarkdown());
const metrics = new URL('metrics.md', docs);
writeFileSync(metrics, withMetricTables(readFileSync(metrics, 'utf8')));
