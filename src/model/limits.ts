/** How much a program may ask for. Beyond these the checker answers with a diagnostic instead of running out of time or memory. */

/** The limits by name. */
export const limits = {
  /** Files that import one another in a chain. */
  importDepth: 32,
  /** Layers inside layers. */
  layerDepth: 64,
  /** Copies made by one `repeat`, and experts of one `mixture`. */
  copies: 10_000,
  /** Layers of one model in all. */
  layers: 100_000,
  /** Nodes of one graph. */
  nodes: 250_000,
  /** Elements of a constant list. */
  listLength: 100_000,
} as const;
