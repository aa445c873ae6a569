/** Numbers at which functions of one number are compared, to tell an activation by what it computes. */

/** Dense where activations bend, then further and further out, to ±10⁸: a clamp shows, wherever it begins. */
export const probes = ((): Float64Array => {
  const near = Array.from({ length: 401 }, (_, i) => (i - 200) / 19);
  const far = Array.from({ length: 57 }, (_, i) => 1e-6 * 10 ** (i / 4));
  return Float64Array.from([...near, ...far, ...far.map((x) => -x)]);
})();
