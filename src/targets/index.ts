/** The table of targets. */

import { ort } from './ort.ts';
import { portable } from './portable.ts';
import type { Target } from './target.ts';
import { webgpu } from './webgpu.ts';

/** Every target by name. */
export const targets: ReadonlyMap<string, Target> = new Map([ort, portable, webgpu].map((target) => [target.name, target]));
