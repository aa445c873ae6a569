/** Adds up vitest's JSON reports and prints one closing line. A report that is missing, or that ran no test, is a failure. */

import { existsSync, readFileSync } from 'node:fs';

const sum = { passed: 0, failed: 0, skipped: 0 };
for (const path of process.argv.slice(2)) {
  const report = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : { numTotalTests: 0, testResults: [] };
  const passed = report.numPassedTests ?? 0;
  const failed = report.numFailedTests ?? 0;
  // A file that could not be loaded fails without a test of its own.
  const broken = report.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0).length;
  sum.passed += passed;
  sum.failed += failed + broken + (report.numTotalTests === 0 && broken === 0 ? 1 : 0);
  sum.skipped += (report.numTotalTests ?? 0) - passed - failed;
}
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
process.exitCode = sum.failed > 0 ? 1 : 0;
