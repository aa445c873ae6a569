/** Solving A·X = B for a symmetric positive definite A of a few thousand rows, in f64: the end of every least-squares fit. */

/** Columns that are eliminated together: a block of 32 rows of 2,000 numbers stays in the cache of one core. */
const block = 32;

/**
 * Replaces the lower triangle of a symmetric A [n, n] by L with L·Lᵀ = A, and says whether A is positive definite. The upper
 * triangle is neither read nor written. n³ / 6 multiply-adds, by columns in blocks (Golub and Van Loan 2013, §4.2.6).
 */
export function factorise(a: Float64Array, n: number): boolean {
  for (let left = 0; left < n; left += block) {
    const right = Math.min(n, left + block);
    for (let i = left; i < n; i++) subtractProducts(a, n, i, left, Math.min(right, i + 1));
    for (let i = left; i < n; i++) {
      for (let j = left; j < Math.min(right, i + 1); j++) {
        let sum = a[i * n + j] as number;
        for (let p = left; p < j; p++) sum -= (a[i * n + p] as number) * (a[j * n + p] as number);
        if (i === j && !(sum > 0)) return false;
        a[i * n + j] = i === j ? Math.sqrt(sum) : sum / (a[j * n + j] as number);
      }
    }
  }
  return true;
}

/** a[i, j] −= Σ a[i, p] · a[j, p] over p < left, for j in left … right − 1: four j at a time, which share what is read of row i. */
function subtractProducts(a: Float64Array, n: number, i: number, left: number, right: number): void {
  const own = i * n;
  let j = left;
  for (; j + 4 <= right; j += 4) {
    const [r0, r1, r2, r3] = [j * n, (j + 1) * n, (j + 2) * n, (j + 3) * n];
    let [s0, s1, s2, s3] = [0, 0, 0, 0];
    for (let p = 0; p < left; p++) {
      const x = a[own + p] as number;
      s0 += x * (a[r0 + p] as number);
      s1 += x * (a[r1 + p] as number);
      s2 += x * (a[r2 + p] as number);
      s3 += x * (a[r3 + p] as number);
    }
    a[own + j] = (a[own + j] as number) - s0;
    a[own + j + 1] = (a[own + j + 1] as number) - s1;
    a[own + j + 2] = (a[own + j + 2] as number) - s2;
    a[own + j + 3] = (a[own + j + 3] as number) - s3;
  }
  for (; j < right; j++) {
    let sum = 0;
    for (let p = 0; p < left; p++) sum += (a[own + p] as number) * (a[j * n + p] as number);
    a[own + j] = (a[own + j] as number) - sum;
  }
}

/** Replaces B [n, m] by X with L·Lᵀ·X = B, for the L of `factorise`. */
export function solveFactorised(l: Float64Array, n: number, b: Float64Array, m: number): void {
  solveLower(l, n, b, m);
  solveUpper(l, n, b, m);
}

/** Replaces B [n, m] by X with L·X = B. */
export function solveLower(l: Float64Array, n: number, b: Float64Array, m: number): void {
  for (let i = 0; i < n; i++) {
    for (let p = 0; p < i; p++) addRow(b, m, i, p, -(l[i * n + p] as number));
    scaleRow(b, m, i, 1 / (l[i * n + i] as number));
  }
}

/** Replaces B [n, m] by X with Lᵀ·X = B. */
export function solveUpper(l: Float64Array, n: number, b: Float64Array, m: number): void {
  for (let i = n - 1; i >= 0; i--) {
    scaleRow(b, m, i, 1 / (l[i * n + i] as number));
    for (let p = 0; p < i; p++) addRow(b, m, p, i, -(l[i * n + p] as number));
  }
}

/** L⁻¹ for a lower triangular L [n, n], of which the upper triangle is not read; that of the inverse is 0. n³ / 6 multiply-adds. */
export function invertLower(l: Float64Array, n: number): Float64Array {
  const inverse = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const own = i * n;
    for (let p = 0; p < i; p++) {
      const by = l[own + p] as number;
      for (let j = 0; j <= p; j++) inverse[own + j] = (inverse[own + j] as number) - by * (inverse[p * n + j] as number);
    }
    inverse[own + i] = 1;
    const by = 1 / (l[own + i] as number);
    for (let j = 0; j <= i; j++) inverse[own + j] = (inverse[own + j] as number) * by;
  }
  return inverse;
}

function addRow(b: Float64Array, m: number, to: number, from: number, by: number): void {
  const [at, source] = [to * m, from * m];
  for (let j = 0; j < m; j++) b[at + j] = (b[at + j] as number) + by * (b[source + j] as number);
}

function scaleRow(b: Float64Array, m: number, i: number, by: number): void {
  for (let j = i * m; j < (i + 1) * m; j++) b[j] = (b[j] as number) * by;
}
