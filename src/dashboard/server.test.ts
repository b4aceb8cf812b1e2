import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startDashboard } from './server.ts';

test('a dashboard answers until it is closed, also to those who listen to its events', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'taper-server-'));
  const { url, close } = await startDashboard({ folder, host: '127.0.0.1', port: 0 });
  assert.deepEqual(await (await fetch(`${url}api/runs`)).json(), []);
  const events = (await fetch(`${url}api/events`)).body!.getReader();
  assert.match(
    new TextDecoder().decode((await events.read()).value),
    /^data: \{"list":\{"runs":\[\],"tunings":\[\]\}\}\n/,
  );
  await close();
  await assert.rejects(events.read().then(({ done }) => assert.ok(!done)));
  await assert.rejects(fetch(url));
  rmSync(folder, { recursive: true });
});
