import { writeFileSync } from 'node:fs';
import { configurationMarkdown } from '../config/index.ts';

// Writes the pages of docs/ that are made from the program itself: `npm run docs`.
writeFileSync(new URL('../../../docs/configuration.md', import.meta.url), configurationMarkdown());
