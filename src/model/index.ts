/** Source text → a typed model: what the rest of moec knows of the language. */

export { unreadKeys } from './config.ts';
export type { Base, Derivation, DerivationTarget, NamedFile } from './derivation.ts';
export { emergentSettingsOf } from './derive-settings.ts';
export { type Description, describes } from './family.ts';
export { limits } from './limits.ts';
export { loadProgram } from './load.ts';
export { type BuildOptions, buildModel, type CheckOptions, checkProgram, filesNamed, type Model, type Param, type Plain } from './model.ts';
export type { LayerNode } from './paths.ts';
export type { Entry, Module, Program, Reader } from './program.ts';
export type { TensorHeader } from './source.ts';
export { diagnoseFault } from './syntax.ts';
