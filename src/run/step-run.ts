/** Runs a model with a cache on a whole sequence in two steps, the second with the keys and values of the first, as decoding does. */

import type { Outcome } from '../diagnostics/diagnostic.ts';
import { isPast, pastOf } from '../passes/cache-names.ts';
import { pastAxis, presentNames, steppedPrefix } from './decode-step.ts';
import type { Tensors } from './protocol.ts';
import type { Session } from './session.ts';
import { type Port, type Tensor, type TensorData, tensorOf } from './tensor.ts';

/** The results for all tokens: logits of both steps one after the other, keys and values of the second. */
export async function runInSteps(session: Session, feeds: Tensors): Promise<Outcome<Tensors>> {
  const { inputs } = session;
  const width = feeds[`${steppedPrefix(inputs)}input_ids`]?.dims[1] ?? 0;
  const presents = presentNames(inputs);
  const early = inputs.some((port) => isPast(port) && feeds[port.name]?.dims[pastAxis(port)] === 0) || presents.length === 0;
  if (width < 2 || !early) return session.run(feeds);
  const at = Math.ceil(width / 2);
  const first = await session.run(cut(inputs, feeds, 0, at));
  if (!first.ok) return first;
  const past = Object.fromEntries(presents.flatMap((name) => (first.value[name] ? [[pastOf(name), first.value[name]]] : [])));
  const second = await session.run({ ...cut(inputs, feeds, at, width), ...past });
  if (!second.ok) return second;
  const joined = Object.entries(second.value).map(([name, later]): [string, Tensor] => {
    const before = first.value[name];
    return [name, before && !presents.includes(name) && later.dims[1] === width - at && before.dims[1] === at ? join(before, later) : later];
  });
  return { ...second, value: Object.fromEntries(joined) };
}

/** Columns of what has one for each token of the text that is stepped through. The mask has one for each token so far. */
function cut(inputs: readonly Port[], feeds: Tensors, from: number, to: number): Tensors {
  const prefix = steppedPrefix(inputs);
  const mask = `${prefix}attention_mask`;
  const columnsOf = (name: string): string | number | undefined => inputs.find((port) => port.name === name && port.dims.length === 2)?.dims[1];
  const stepped = columnsOf(`${prefix}input_ids`);
  const width = feeds[`${prefix}input_ids`]?.dims[1];
  const columns = (tensor: Tensor, begin: number): Tensor => {
    const [rows = 1] = tensor.dims;
    const data = Array.from({ length: rows }, (_, row) => Array.from({ length: to - begin }, (__, i) => Number(tensor.data[row * (width ?? 0) + begin + i]))).flat();
    return tensorOf(tensor.dtype, [rows, to - begin], data);
  };
  const isCut = (name: string, { dims }: Tensor): boolean => dims.length === 2 && dims[1] === width && (name === mask || columnsOf(name) === stepped);
  return Object.fromEntries(Object.entries(feeds).map(([name, one]) => [name, isCut(name, one) ? columns(one, name === mask ? 0 : from) : one]));
}

/** Two stretches of rows [B, S, …] one after the other. */
function join(a: Tensor, b: Tensor): Tensor {
  const [rows = 1, first = 0, ...rest] = a.dims;
  const second = b.dims[1] ?? 0;
  const [left, right] = [a.data.length / rows, b.data.length / rows];
  const Made = a.data.constructor as new (length: number) => Float32Array;
  const data = new Made(a.data.length + b.data.length);
  for (let row = 0; row < rows; row++) {
    data.set(a.data.slice(row * left, (row + 1) * left) as Float32Array, row * (left + right));
    data.set(b.data.slice(row * right, (row + 1) * right) as Float32Array, row * (left + right) + left);
  }
  return { dtype: a.dtype, dims: [rows, first + second, ...rest], data: data as TensorData };
}
