/** Numbers to draw tokens with: they depend on the seed alone, so a text can be written again on any machine. */

const gamma = 0x9e3779b97f4a7c15n;

/** The `index`-th 64-bit word of SplitMix64 seeded with `seed` (Steele, Lea and Flood, 2014), counted from 0. */
export function splitMix64(seed: bigint, index: number): bigint {
  let word = BigInt.asUintN(64, seed + gamma * BigInt(index + 1));
  word = BigInt.asUintN(64, (word ^ (word >> 30n)) * 0xbf58476d1ce4e5b9n);
  word = BigInt.asUintN(64, (word ^ (word >> 27n)) * 0x94d049bb133111ebn);
  return word ^ (word >> 31n);
}

/** `count` numbers in [0, 1), multiples of 2^-24 and so exact in f32. */
export function uniforms(seed: number, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Number(splitMix64(BigInt(seed), i) >> 40n) / 2 ** 24);
}
