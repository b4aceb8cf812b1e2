import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';

// Pages in Chromium, as far as it is installed; what they ask of any other server than their own is a mistake.

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);

/** Why no page can be opened; false where one can. */
export const noBrowser = executablePath === undefined && 'chromium is not installed (Debian: apt-get install chromium)';

export function openBrowser(): Promise<Browser> {
  const args = ['--no-sandbox', '--disable-gpu', '--disable-background-networking'];
  return chromium.launch({ executablePath: executablePath!, args });
}

/** Opens a page; its errors and warnings, and what it asks of other servers, are added to `problems`. */
export async function openPage(browser: Browser, url: string, problems: string[], width = 1280): Promise<Page> {
  const page = await browser.newPage({ viewport: { width, height: 900 } });
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('request', (asked) => {
    const { host, protocol } = new URL(asked.url());
    if (protocol !== 'blob:' && host !== new URL(url).host) problems.push(`asked ${asked.url()}`);
  });
  await page.goto(url);
  return page;
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

/** Serves the files of a folder at 127.0.0.1, as any server of static files does. */
export async function serveFiles(folder: string): Promise<{ url: string; close(): void }> {
  const server = createServer(async ({ url }, response) => {
    const { pathname } = new URL(url!, 'http://127.0.0.1');
    const path = pathname.endsWith('/') ? `${pathname}index.html` : pathname;
    try {
      const body = await readFile(join(folder, path));
      response.writeHead(200, { 'content-type': types[extname(path)] ?? 'application/octet-stream' }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
