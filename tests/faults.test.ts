import { after, test } from 'node:test';
import { faults } from './faults/faults.ts';
import { World } from './faults/world.ts';

// Each once; `npm run test:faults` causes all of them, and more often.
const world = new World();
after(() => world[Symbol.dispose]());

for (const { name, isShort, obstacle, cause } of faults) {
  if (!isShort) continue;
  const why = obstacle?.();
  test(name, { skip: why && `${why}: not tried` }, async () => {
    await cause(world);
  });
}
