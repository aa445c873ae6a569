/** Source text → a typed model: what the rest of moec knows of the language. */

export { unreadKeys } from './config.ts';
export type { ResolvedParam } from './context.ts';
export { type Description, describes, familiesOf } from './family.ts';
export { limits } from './limits.ts';
export { loadProgram } from './load.ts';
export { type BuildOptions, buildModel, type CheckOptions, checkProgram, type Model } from './model.ts';
export { showConstant } from './arithmetic.ts';
export type { LayerNode } from './paths.ts';
export type { Entry, Module, Program, Reader } from './program.ts';
export type { TensorHeader } from './source.ts';
export { diagnoseFault } from './syntax.ts';
