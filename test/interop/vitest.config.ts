import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: { include: ['test/interop/**/*.test.ts'], testTimeout: 600_000, hookTimeout: 600_000, pool: 'forks', maxWorkers: 1 },
});
