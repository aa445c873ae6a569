/** Diagnostics of the checker, chapter by chapter. */

import { bindings } from './bindings.ts';
import { constants } from './constants.ts';
import { forwards } from './forwards.ts';
import { layers } from './layers.ts';
import { mixtures } from './mixtures.ts';
import { names } from './names.ts';

export const checking = { ...names, ...constants, ...layers, ...forwards, ...mixtures, ...bindings } as const;
