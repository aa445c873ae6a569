/** Mixtures of experts as ops with bodies: whole, as the author wrote them, and cut into segments, as targets lower them. */

import { Bug } from '../diagnostics/bug.ts';
import { constant, type Dim, dim } from '../graph/dim.ts';
import { fail } from '../graph/fail.ts';
import { count, type NdArray, ndArray } from '../graph/nd-array.ts';
import { defineOp, type EvalBody, type Op } from '../graph/op.ts';
import { spell } from '../graph/type.ts';

const unlowered = (): never => {
  throw new Bug('a mixture is cut and lowered by its target before ops are');
};

/** The bodies of experts, in the order of their numbers: `expert`, `expert1`, … */
export function expertNames(bodies: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.keys(bodies)
    .filter((name) => /^expert\d*$/.test(name))
    .sort((a, b) => Number(a.slice(6) || 0) - Number(b.slice(6) || 0));
}

/** Row `i` of the first axis. */
function row(array: NdArray, i: number): NdArray {
  const dims = array.dims.slice(1);
  const size = count(dims);
  return ndArray(dims, array.data.slice(i * size, (i + 1) * size), array.dtype);
}

/** For each token, the slot in which expert `e` was picked, or -1. `experts` is [.., k]. */
function slotsOf(experts: NdArray, e: number): readonly number[] {
  const k = experts.dims.at(-1) ?? 1;
  return Array.from({ length: experts.data.length / k }, (_, t) => experts.data.subarray(t * k, (t + 1) * k).indexOf(e));
}

/** What a router gave for the picked slot of each token: [.., k, rest] → [.., rest]; 0 where none was picked. */
function ofSlot(given: NdArray, slots: readonly number[], lead: number): NdArray {
  const k = given.dims[lead] ?? 1;
  const rest = given.dims.slice(lead + 1);
  const size = count(rest);
  const data = new Float64Array(slots.length * size);
  slots.forEach((slot, t) => {
    if (slot >= 0) data.set(given.data.subarray((t * k + slot) * size, (t * k + slot + 1) * size), t * size);
  });
  return ndArray([...given.dims.slice(0, lead), ...rest], data, given.dtype);
}

/**
 * The sum over picked experts. Inputs: what the mixture is called with (`names`; the first is x), then every weight that the experts own, with an
 * expert axis in front. Bodies: `router` takes the arguments and gives `experts` i64[.., k], optionally `weights` [.., k], then whatever else the
 * experts take; `expert` (and `expert1`, … where layers mix) takes the arguments, what the router gives for one slot, and its own weights.
 * The reference runs every expert on every token: the definition, word for word.
 */
export const mixture: Op = defineOp({
  name: 'mixture',
  call: null,
  doc: 'The sum over the picked experts of weight · expert(x), for each token. The bodies `router` and `expert` say who is picked and what an expert computes.',
  inputs: ['x', 'args*'],
  attrs: {
    n: { kind: 'dim' },
    result: { kind: 'dims' },
    dtype: { kind: 'dtype', default: 'f32' },
    names: { kind: 'strings', default: [] },
    /** How many experts each body is for; where left out, as many as its weights have, and the last the rest. */
    counts: { kind: 'ints', default: [] },
    /** The name of the layer that routes. */
    router: { kind: 'string', default: 'Router' },
  },
  type: (_, { n, result, dtype }) => {
    if ((constant(n) ?? 1) < 1) fail('setting-out-of-range', { setting: 'the number of experts', range: 'at least 1', found: spell(n) }, 'x');
    return { dtype, dims: result };
  },
  eval: ({ x, args }, { n, names, counts }, { sizes, bodies }) => {
    const { router } = bodies;
    if (!router) throw new Bug('a mixture without a router');
    const given = [x, ...args.slice(0, names.length - 1)];
    const routed = router.run(given);
    const { experts, weights } = routed;
    if (!experts) throw new Bug('a router without experts');
    const owned = args.slice(names.length - 1);
    const runs = runsOf(bodies, { given: names.length, routed, owned, counts, n: sizes.of(n) });
    let total: NdArray | undefined;
    for (let e = 0; e < sizes.of(n); e++) {
      const run = runs.find(({ from, to }) => e >= from && e < to);
      if (!run) throw new Bug(`no body for expert ${e}`);
      const slots = slotsOf(experts, e);
      const extras = run.extras.map((name) => ofSlot(need(routed[name]), slots, experts.dims.length - 1));
      const y = need(run.body.run([...given, ...extras, ...run.weights.map((weight) => row(weight, e - run.from))])['y']);
      total = addScaled(total, y, slots, weights);
    }
    return need(total);
  },
  grad: 'none',
  lower: unlowered,
  samples: [],
});

interface Run {
  readonly body: EvalBody;
  readonly from: number;
  readonly to: number;
  readonly extras: readonly string[];
  readonly weights: readonly NdArray[];
}

interface Around {
  /** How many arguments the mixture is called with. */
  readonly given: number;
  readonly routed: Readonly<Record<string, unknown>>;
  readonly owned: readonly NdArray[];
  readonly counts: readonly number[];
  readonly n: number;
}

function runsOf(bodies: Readonly<Record<string, EvalBody>>, { given, routed, owned, counts, n }: Around): readonly Run[] {
  const names = expertNames(bodies);
  let [at, from] = [0, 0];
  return names.map((name, i) => {
    const body = need(bodies[name]);
    const rest = body.inputs.slice(given);
    const extras = rest.filter((one) => one in routed);
    const weights = owned.slice(at, at + rest.length - extras.length);
    at += weights.length;
    const size = counts[i] ?? weights[0]?.dims[0] ?? n - from;
    from += size;
    return { body, from: from - size, to: from, extras, weights };
  });
}

/** total + y · (the weight of each token's slot, 1 where the router gives none, 0 where none was picked). */
function addScaled(total: NdArray | undefined, y: NdArray, slots: readonly number[], weights: NdArray | undefined): NdArray {
  const width = y.data.length / slots.length;
  const k = weights?.dims.at(-1) ?? 1;
  const data = total ? total.data.slice() : new Float64Array(y.data.length);
  slots.forEach((slot, t) => {
    if (slot < 0) return;
    const weight = weights ? (weights.data[t * k + slot] ?? 0) : 1;
    for (let j = t * width; j < (t + 1) * width; j++) data[j] = (data[j] ?? 0) + weight * (y.data[j] ?? 0);
  });
  return ndArray(y.dims, data, y.dtype);
}

function need<T>(one: T | undefined): T {
  if (one === undefined) throw new Bug('a mixture lacks a part');
  return one;
}

/**
 * One segment of a mixture: rows through the experts they are for. Each row argument is [tokens.., rest] or, where `slotted`, [k, tokens.., rest]; bodies
 * take them as [rows, rest], then their weights. Summed by weight to [tokens.., out], or one result for each slot, [k, tokens.., out].
 */
export const segment: Op = defineOp({
  name: 'segment',
  call: null,
  doc: 'Rows through the experts that were picked for them, summed by weight or one result a slot. What a mixture is cut into.',
  inputs: ['experts', 'weights?', 'args*'],
  attrs: {
    n: { kind: 'int' },
    /** How many of the arguments are rows; weights with an expert axis follow. */
    rows: { kind: 'int' },
    /** For each row argument, whether it has an axis of slots in front. */
    slotted: { kind: 'ints' },
    /** How many experts each body is for. */
    counts: { kind: 'ints' },
    summed: { kind: 'bool' },
    /** The sizes of a result after those of the tokens. */
    out: { kind: 'dims' },
  },
  type: ({ experts, args }, { summed, out }) => {
    const slots = experts.dims.at(-1) ?? dim(1);
    const dims: readonly Dim[] = [...(summed ? [] : [slots]), ...experts.dims.slice(0, -1), ...out];
    return { dtype: args[0]?.dtype ?? 'f32', dims };
  },
  eval: ({ experts, weights, args }, { n, rows, slotted, counts, summed }, { bodies, types }) => {
    const k = experts.dims.at(-1) ?? 1;
    const tokens = experts.data.length / k;
    const names = expertNames(bodies);
    const [result] = types;
    const out = result ? count(result.dims.slice(experts.dims.length - (summed ? 1 : 0)).map((size) => constant(size) ?? 1)) : 1;
    const data = new Float64Array((summed ? tokens : k * tokens) * out);
    let [from, at] = [0, rows];
    names.forEach((name, i) => {
      const body = need(bodies[name]);
      const owned = args.slice(at, at + body.inputs.length - rows);
      at += owned.length;
      const size = counts[i] ?? n;
      for (let e = from; e < from + size; e++) {
        const picked = Array.from(experts.data.keys()).filter((j) => experts.data[j] === e);
        if (picked.length === 0) continue;
        const inputs = args.slice(0, rows).map((arg, j) => rowsFor(arg, picked, k, tokens, slotted[j] === 1, experts.dims.length - 1));
        const y = need(body.run([...inputs, ...owned.map((weight) => row(weight, e - from))])['y']);
        picked.forEach((j, r) => {
          const [token, slot] = [Math.floor(j / k), j % k];
          const to = (summed ? token : slot * tokens + token) * out;
          const weight = summed && weights ? (weights.data[j] ?? 0) : 1;
          for (let c = 0; c < out; c++) data[to + c] = (data[to + c] ?? 0) + weight * (y.data[r * out + c] ?? 0);
        });
      }
      from += size;
    });
    const sizes = [...(summed ? [] : [k]), ...experts.dims.slice(0, -1), ...(result?.dims.slice(experts.dims.length - (summed ? 1 : 0)).map((size) => constant(size) ?? 1) ?? [])];
    return ndArray(sizes, data);
  },
  grad: 'none',
  lower: unlowered,
  samples: [],
});

/** The rows of an argument that belong to picks `token · k + slot`: [rows, rest]. `lead` is the number of axes of tokens. */
function rowsFor(arg: NdArray, picked: readonly number[], k: number, tokens: number, slotted: boolean, lead: number): NdArray {
  const rest = arg.dims.slice(lead + (slotted ? 1 : 0));
  const size = count(rest);
  const data = new Float64Array(picked.length * size);
  picked.forEach((j, r) => {
    const from = (slotted ? (j % k) * tokens + Math.floor(j / k) : Math.floor(j / k)) * size;
    data.set(arg.data.subarray(from, from + size), r * size);
  });
  return ndArray([picked.length, ...rest], data, arg.dtype);
}
