import { join } from 'node:path';
import { readPublicApi, root } from './public-api.fixture.ts';

// Writes the reference of the public surface, in HTML, into build/api: `npm run docs`.
const api = await readPublicApi();
await api.write(join(root, 'build/api'));
for (const warning of api.warnings) console.error(warning);
if (api.warnings.length > 0) process.exitCode = 1;
