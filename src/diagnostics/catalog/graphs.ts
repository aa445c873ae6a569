/** Diagnostics of the passes, targets and the ONNX format. */

export const graphs = {} as const;
