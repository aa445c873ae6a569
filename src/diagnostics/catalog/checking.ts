/** Diagnostics of the checker. */

export const checking = {} as const;
