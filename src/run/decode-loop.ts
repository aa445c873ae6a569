import type { Control } from './decode.ts';
import type { Engine } from './engine.ts';
import type { DecodePlan, Timing } from './protocol.ts';
export async function decodeByLoop(_engine: Engine, _plan: DecodePlan, _control: Control): Promise<Timing> {
  throw new Error('not yet');
}
