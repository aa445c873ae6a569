/**
 * Numbers that depend on a seed and a weight's path alone, the same on any machine: whole-number arithmetic up to one
 * multiplication at the end. Blocks are independent of each other, so any stretch can be made without the ones before.
 */

const blockLength = 4096;

/** Makes numbers `from` to `to` of the endless sequence of a weight: mean 0, the given deviation, nearly normal (|x| < 6 deviations). */
export function randomNumbers(path: string, seed: number, deviation: number, from: number, to: number): Float64Array {
  const key = keyOf(path, seed);
  const numbers = new Float64Array(to - from);
  const block = new Float64Array(blockLength);
  for (let at = from; at < to; ) {
    const index = Math.floor(at / blockLength);
    const start = index * blockLength;
    fillBlock(block, key, index, deviation);
    const end = Math.min(to, start + blockLength);
    numbers.set(block.subarray(at - start, end - start), at - from);
    at = end;
  }
  return numbers;
}

/**
 * Sums of twelve 16-bit numbers (variance 65536² − 1, so deviation 1 after scaling to within 1e-10; excess kurtosis −0.1),
 * drawn from xoshiro128++ (Blackman and Vigna, 2019) seeded by the weight and the block. Its step is written out: as a function over
 * a state it takes 1.6 times as long.
 */
function fillBlock(block: Float64Array, key: readonly [number, number], index: number, deviation: number): void {
  const scale = deviation / 65_536;
  let a = mix(key[0] ^ mix(index));
  let b = mix(key[1] + Math.imul(index, 0x9e37_79b9));
  let c = mix(a ^ 0x85eb_ca6b);
  let d = mix(b ^ 0xc2b2_ae35) | 1;
  for (let i = 0; i < block.length; i++) {
    let sum = 0;
    for (let draw = 0; draw < 6; draw++) {
      const mixed = (a + d) | 0;
      const bits = (((mixed << 7) | (mixed >>> 25)) + a) | 0;
      sum += (bits & 0xffff) + (bits >>> 16);
      const shifted = b << 9;
      c ^= a;
      d ^= b;
      b ^= c;
      a ^= d;
      c ^= shifted;
      d = (d << 11) | (d >>> 21);
    }
    block[i] = (sum - 393_210) * scale;
  }
}

/** Two 32-bit hashes of the path's UTF-16 units, and of the seed's 53 bits. */
function keyOf(path: string, seed: number): readonly [number, number] {
  let first = mix(seed | 0);
  let second = mix(Math.floor(seed / 2 ** 32) ^ 0x9e37_79b9);
  for (let i = 0; i < path.length; i++) {
    const unit = path.charCodeAt(i);
    first = Math.imul(first ^ unit, 0x0100_0193);
    second = Math.imul(second ^ unit, 0x5bd1_e995) ^ (second >>> 15);
  }
  return [mix(first ^ path.length), mix(second + path.length)];
}

/** The finaliser of MurmurHash3: every bit of the result depends on every bit of `x`. */
function mix(x: number): number {
  let hash = x;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return hash ^ (hash >>> 16);
}
