/** Diagnostics of the command line and the runtime. */

export const running = {} as const;
