/** How a type rule says that its arguments do not fit. Caught where the op is applied and worded as a diagnostic there. */

import type { Code, Holes } from '../diagnostics/catalog.ts';

/** A fault of types at one op. `port` names the argument that is wrong, where one is. */
export class TypeFault extends Error {
  readonly code: Code;
  readonly holes: Readonly<Record<string, string | number>>;
  readonly port: string | undefined;
  /** What to change, in words. */
  readonly fix: string | undefined;

  constructor(code: Code, holes: Readonly<Record<string, string | number>>, port?: string, fix?: string) {
    super(code);
    this.code = code;
    this.holes = holes;
    this.port = port;
    this.fix = fix;
  }
}

/** Ends a type rule with a fault of the catalogue. */
export function fail<C extends Code>(code: C, holes: Holes<C>, port?: string, fix?: string): never {
  throw new TypeFault(code, holes, port, fix);
}
