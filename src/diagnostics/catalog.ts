/** Every diagnostic moec can give, in one table: severity, wording, explanation. The chapters stand in `catalog/`. */

import { calls } from './catalog/calls.ts';
import { checking } from './catalog/checking.ts';
import { checkpoints } from './catalog/checkpoints.ts';
import { compiling } from './catalog/compiling.ts';
import { conversions } from './catalog/conversions.ts';
import { graphs } from './catalog/graphs.ts';
import { measuring } from './catalog/measuring.ts';
import { running } from './catalog/running.ts';
import { syntax } from './catalog/syntax.ts';
import { types } from './catalog/types.ts';
import type { Template } from './template.ts';

/** One entry. `explanation` is what `moec explain CODE` prints: why it is so, and an example that is wrong and one that is right. */
export interface Entry<H extends string = string> {
  readonly severity: 'error' | 'warning' | 'note';
  readonly message: Template<H>;
  readonly explanation: string;
}

/** The entries by their codes. */
export const catalog = { ...calls, ...syntax, ...checking, ...checkpoints, ...graphs, ...compiling, ...conversions, ...types, ...running, ...measuring };

/** A code of the catalogue, such as `inner-sizes-differ`. */
export type Code = keyof typeof catalog;

/** The values that the message of `C` needs. */
export type Holes<C extends Code> = (typeof catalog)[C]['message'] extends Template<infer H> ? Readonly<Record<H, string | number>> : never;
