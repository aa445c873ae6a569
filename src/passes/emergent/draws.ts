/** Random choices of groupings: whole-number arithmetic from a seed, the same on any machine. */

/** An endless sequence of random numbers. */
export interface Draws {
  /** In [0, 1), a multiple of 2^-32. */
  unit(): number;
  /** In 0 … n − 1. */
  below(n: number): number;
}

/** Draws by xoshiro128** (Blackman and Vigna, 2019), started from the seed by splitmix32; any integer is a seed. */
export function draws(seed: number): Draws {
  let state = seed | 0;
  const started = (): number => {
    state = (state + 0x9e37_79b9) | 0;
    let hash = state ^ Math.floor(seed / 2 ** 32);
    hash = Math.imul(hash ^ (hash >>> 16), 0x21f0_aaad);
    hash = Math.imul(hash ^ (hash >>> 15), 0x735a_2d97);
    return hash ^ (hash >>> 15);
  };
  let [a, b, c, d] = [started(), started(), started(), started() | 1];
  const unit = (): number => {
    const times5 = Math.imul(b, 5);
    const bits = Math.imul((times5 << 7) | (times5 >>> 25), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
    return bits / 2 ** 32;
  };
  return { unit, below: (n) => Math.floor(unit() * n) };
}

/** 0 … n − 1 in random order (Fisher and Yates). */
export function shuffled(n: number, from: Draws): Int32Array {
  const order = Int32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = from.below(i + 1);
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  return order;
}
