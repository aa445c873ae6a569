/** The pictures of converted layers: how much each catches and loses, how busy its experts are, which of them are picked together. */

import { percent } from '../diagnostics/figures.ts';
import type { Judged } from '../passes/emergent/judge.ts';
import { element, escaped, picture, short } from './markup.ts';

const [width, height] = [800, 220];
const frame = { left: 46, right: 12, top: 14, bottom: 38 };

/** Across the layers: mass that is caught, at best, and the error of the output. */
export function layersPlot(layers: readonly Judged[]): string {
  const bottom = height - frame.bottom;
  const top = Math.max(1, ...layers.map(({ error }) => error));
  const x = (i: number): number => frame.left + ((i + 0.5) / layers.length) * (width - frame.left - frame.right);
  const y = (share: number): number => bottom - (share / top) * (bottom - frame.top);
  const bar = Math.min(22, (0.56 * (width - frame.left - frame.right)) / layers.length);
  const every = Math.ceil(layers.length / 16);
  const line = (of: (layer: Judged) => number): string => layers.map((layer, i) => `${short(x(i))},${short(y(of(layer)))}`).join(' ');
  return picture(width, height, 'mass caught and output error, layer by layer', [
    ...[0, 0.25, 0.5, 0.75, 1].flatMap((share) => [
      element('line', { class: 'grid', x1: frame.left, x2: width - frame.right, y1: y(share), y2: y(share) }),
      element('text', { class: 'tick', x: frame.left - 6, y: y(share) + 4, 'text-anchor': 'end' }, `${100 * share} %`),
    ]),
    ...layers.map((layer, i) =>
      element('rect', { class: 'error', x: x(i) - bar / 2, y: y(layer.error), width: bar, height: bottom - y(layer.error) }, element('title', {}, escaped(layer.path))),
    ),
    element('polyline', { class: 'best', points: line(({ best }) => best) }),
    element('polyline', { class: 'caught', points: line(({ captured }) => captured) }),
    ...(layers.length > 1 ? [] : layers).map((layer, i) => element('line', { class: 'best', x1: x(i) - bar / 3, x2: x(i) + bar / 3, y1: y(layer.best), y2: y(layer.best) })),
    ...layers.map((layer, i) => element('circle', { class: 'caught', cx: x(i), cy: y(layer.captured), r: layers.length > 40 ? 1.5 : 3 })),
    ...layers.flatMap((_, i) => (i % every === 0 ? [element('text', { class: 'tick', x: x(i), y: bottom + 15, 'text-anchor': 'middle' }, String(i))] : [])),
    element('text', { class: 'name', x: (frame.left + width - frame.right) / 2, y: height - 6, 'text-anchor': 'middle' }, 'layer'),
  ]);
}

/** One bar for each expert: the share of tokens that pick it, and a line at what all would have if they were picked alike. */
export function loadBars({ path, load }: Judged, size: number): string {
  const tall = 34;
  const each = size / load.length;
  const even = load.reduce((sum, share) => sum + share, 0) / load.length;
  const bars = load.map((share, e) => `M${short(e * each + 0.08 * each)} ${tall}v${short(-share * tall)}h${short(0.84 * each)}V${tall}z`).join('');
  return picture(size, tall, `load of the experts of ${path}`, [
    element('path', { class: 'load', d: bars }, element('title', {}, `${escaped(path)}: ${load.map((share) => percent(share, 0)).join(' ')}`)),
    element('line', { class: 'even', x1: 0, x2: size, y1: tall * (1 - even), y2: tall * (1 - even) }),
    element('line', { class: 'grid', x1: 0, x2: size, y1: tall - 0.25, y2: tall - 0.25 }),
  ]);
}

/** Degrees of a heat map, to either side of nothing. */
const degrees = 8;

/** How picks go together: the correlation φ of every two experts over tokens, -1 to 1; nothing on the diagonal. */
export function correlations({ load, together }: Pick<Judged, 'load' | 'together'>): readonly (readonly number[])[] {
  return together.map((line, a) =>
    line.map((both, b) => {
      const [p, q] = [load[a] ?? 0, load[b] ?? 0];
      const spread = Math.sqrt(p * (1 - p) * q * (1 - q));
      return a === b || spread < 1e-9 ? 0 : (both - p * q) / spread;
    }),
  );
}

/** The heat map of correlations, one path for each degree; full colour at `most`. */
export function togetherMap(layer: Judged, size: number, most: number): string {
  const n = layer.load.length;
  const cells = new Map<number, string[]>();
  for (const [a, line] of correlations(layer).entries())
    for (const [b, value] of line.entries()) {
      const degree = Math.max(-degrees, Math.min(degrees, Math.round((degrees * value) / most)));
      if (degree !== 0) cells.set(degree, [...(cells.get(degree) ?? []), `M${b} ${a}h1v1h-1z`]);
    }
  const paths = [...cells]
    .sort(([a], [b]) => a - b)
    .map(([degree, parts]) => element('path', { class: degree > 0 ? 'with' : 'against', 'fill-opacity': Math.abs(degree) / degrees, d: parts.join('') }));
  const diagonal = Array.from({ length: n }, (_, e) => `M${e} ${e}h1v1h-1z`).join('');
  const inside = [element('rect', { class: 'ground', width: n, height: n }), ...paths, element('path', { class: 'self', d: diagonal })];
  return picture(n, n, `experts of ${layer.path} that are picked together`, inside, { width: size, height: size, 'shape-rendering': 'crispEdges' });
}

/** The correlation that has full colour: the largest there is, a tenth at least. */
export function strongest(layers: readonly Judged[]): number {
  return layers.reduce((most, layer) => correlations(layer).reduce((line, values) => values.reduce((one, value) => Math.max(one, Math.abs(value)), line), most), 0.1);
}
