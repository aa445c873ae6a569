/** Diagnostics of the weights. */

export const checkpoints = {} as const;
