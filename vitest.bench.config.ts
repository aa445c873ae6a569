import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: { include: ['test/bench/**/*.test.ts'], testTimeout: 600_000, hookTimeout: 600_000, pool: 'forks', maxWorkers: 1 },
});
