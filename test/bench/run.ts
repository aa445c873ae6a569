/** Runs one benchmark by name: `npm run bench -- NAME`. */

const names = ['check', 'build', 'in-place', 'decode', 'gpu', 'mixture', 'load', 'moe-decode', 'grouping', 'emergent-quality'];
const [name] = process.argv.slice(2);
if (name === undefined || !names.includes(name)) {
  console.error(`usage: npm run bench -- ${names.join(' | ')}`);
  process.exitCode = 2;
} else {
  await import(`./${name}.ts`);
}
