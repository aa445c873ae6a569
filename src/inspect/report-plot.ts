/** The plot of quality against speed: the dense model, the conversion and its controls. */

import { element, escaped, picture, short } from './markup.ts';
import { gainOf, ideal, ofDense, type Report } from './report.ts';

/** A point of the plot, in its own units. */
interface Point {
  readonly name: string;
  /** Times as fast as the dense model. */
  readonly x: number;
  /** Times the dense model's metric. */
  readonly y: number;
  readonly kind: 'dense' | 'asked' | 'ideal' | 'control';
}

const [width, height] = [800, 400];
const frame = { left: 62, right: 112, top: 18, bottom: 48 };

/** Draws it; empty where no metric was measured. */
export function qualityPlot(report: Report): string {
  const points = pointsOf(report);
  if (points.length === 0 || !report.metric) return '';
  const x = scaleOf(
    points.map((point) => point.x),
    frame.left,
    width - frame.right,
    false,
  );
  const y = scaleOf(
    points.map((point) => point.y),
    height - frame.bottom,
    frame.top,
    report.metric.kind === 'perplexity',
  );
  const [asked, best] = [points.find(({ kind }) => kind === 'asked'), points.find(({ kind }) => kind === 'ideal')];
  const reach = asked && best ? [element('line', { class: 'reach', x1: x.at(asked.x), y1: y.at(asked.y), x2: x.at(best.x), y2: y.at(best.y) })] : [];
  const unit = gainOf(report, 'decode') ? 'in writing ' : gainOf(report, 'prefill') ? 'in reading ' : '';
  const better = report.metric.kind === 'perplexity' ? 'lower' : 'higher';
  return picture(width, height, `${report.metric.kind} against speed`, [
    ...axes(x, y, {
      x: unit ? `speed-up ${unit}over dense (filled: measured, hollow: ideal)` : 'ideal speed-up over dense',
      y: `${report.metric.kind} / dense (${better} is better)`,
    }),
    ...reach,
    ...points.map((point) => mark(point, x.at(point.x), y.at(point.y))),
    ...labels(points.map((point) => ({ point, x: x.at(point.x), y: y.at(point.y) }))),
  ]);
}

/** Controls cost what the conversion costs and were not timed: they stand at the ideal. */
function pointsOf(report: Report): readonly Point[] {
  const limit = ideal(report.whole);
  const measured = (gainOf(report, 'decode') ?? gainOf(report, 'prefill'))?.quotient;
  return report.lines.flatMap((line): readonly Point[] => {
    const y = ofDense(report, line);
    if (!Number.isFinite(y) || line.name === 'all experts') return [];
    if (line.name === 'dense') return [{ name: 'dense', x: 1, y, kind: 'dense' }];
    if (line.name !== 'asked') return [{ name: line.name, x: limit, y, kind: 'control' }];
    return [...(measured === undefined ? [] : [{ name: 'asked', x: measured, y, kind: 'asked' } as const]), { name: 'asked', x: limit, y, kind: 'ideal' }];
  });
}

interface Scale {
  readonly ticks: readonly number[];
  at(value: number): number;
}

/** An axis with round ticks around all values; by powers where they lie more than sixfold apart. */
function scaleOf(values: readonly number[], from: number, to: number, mayBend: boolean): Scale {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const bent = mayBend && low > 0 && high / low > 6;
  const map = bent ? Math.log : (value: number): number => value;
  const ticks = bent ? powers(low, high) : steps(low, high);
  const [first, last] = [map(Math.min(low, ticks[0] ?? low)), map(Math.max(high, ticks.at(-1) ?? high))];
  const span = last - first || 1;
  return { ticks, at: (value) => from + ((map(value) - first) / span) * (to - from) };
}

/** 1, 2, 5, 10 … around a range. */
function powers(low: number, high: number): readonly number[] {
  const all = Array.from({ length: 40 }, (_, i) => [1, 2, 5].map((one) => one * 10 ** (i - 20))).flat();
  const [from, to] = [all.findLastIndex((one) => one <= low), all.findIndex((one) => one >= high)];
  return all.slice(Math.max(0, from), to + 1);
}

/** Some five round steps around a range. */
function steps(low: number, high: number): readonly number[] {
  const span = Math.max(high - low, 0.05 * Math.abs(high), 1e-9);
  const rough = span / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 2.5, 5, 10].find((one) => one * power >= rough) ?? 10) * power;
  const [from, to] = [Math.floor(low / step + 1e-9), Math.ceil(low / step + span / step - 1e-9)];
  return Array.from({ length: to - from + 1 }, (_, i) => (from + i) * step);
}

function axes(x: Scale, y: Scale, names: { readonly x: string; readonly y: string }): readonly string[] {
  const [left, right, top, bottom] = [frame.left, width - frame.right, frame.top, height - frame.bottom];
  return [
    ...x.ticks.flatMap((tick) => [
      element('line', { class: 'grid', x1: x.at(tick), x2: x.at(tick), y1: top, y2: bottom }),
      element('text', { class: 'tick', x: x.at(tick), y: bottom + 16, 'text-anchor': 'middle' }, `${short(tick)} ×`),
    ]),
    ...y.ticks.flatMap((tick) => [
      element('line', { class: 'grid', x1: left, x2: right, y1: y.at(tick), y2: y.at(tick) }),
      element('text', { class: 'tick', x: left - 8, y: y.at(tick) + 4, 'text-anchor': 'end' }, short(tick)),
    ]),
    element('text', { class: 'name', x: (left + right) / 2, y: height - 10, 'text-anchor': 'middle' }, escaped(names.x)),
    element('text', { class: 'name', transform: `translate(16 ${short((top + bottom) / 2)}) rotate(-90)`, 'text-anchor': 'middle' }, escaped(names.y)),
  ];
}

function mark({ kind }: Point, x: number, y: number): string {
  if (kind === 'control') return element('rect', { class: 'control', x: x - 4, y: y - 4, width: 8, height: 8 });
  return element('circle', { class: kind, cx: x, cy: y, r: kind === 'ideal' ? 5 : 5.5 });
}

/** Names beside their points, moved apart where they would lie on each other. */
function labels(placed: readonly { readonly point: Point; readonly x: number; readonly y: number }[]): readonly string[] {
  const named = placed.filter(({ point }) => point.kind !== 'asked').sort((a, b) => a.y - b.y);
  const [gap, wide] = [15, 110];
  const put: { readonly x: number; readonly at: number }[] = [];
  for (const { x, y } of named) put.push({ x, at: Math.max(y, ...put.filter((one) => Math.abs(one.x - x) < wide).map(({ at }) => at + gap)) });
  return named.map(({ point, x, y }, i) => {
    const at = put[i]?.at ?? y;
    const lead = Math.abs(at - y) > 3 ? element('line', { class: 'lead', x1: x + 6, y1: y, x2: x + 13, y2: at }) : '';
    return lead + element('text', { class: `label ${point.kind}`, x: x + 15, y: at + 4 }, escaped(point.name));
  });
}
