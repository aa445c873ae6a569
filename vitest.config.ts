import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: { include: ['test/**/*.test.ts'], exclude: ['test/interop/**', 'test/bench/**'], testTimeout: 30_000, pool: 'forks', maxWorkers: 2 },
});
