import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

// The page becomes a few static files beside the compiled server.
export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: './',
  build: { outDir: fileURLToPath(new URL('../../../dist/dashboard', import.meta.url)), emptyOutDir: true },
});
