/** The report of a conversion as one HTML page that needs nothing beside it: a table, plots in SVG, every layer, in light and dark. */

import { metricFigure, percent, picksFigure, rate, roundWords, threadWords, times, tokenWords } from '../diagnostics/figures.ts';
import type { Judged } from '../passes/emergent/judge.ts';
import { element, escaped } from './markup.ts';
import { gainOf, ideal, identityWords, layerFigures, layerHeads, ofDense, type Report, unsteady } from './report.ts';
import { layersPlot, loadBars, strongest, togetherMap } from './report-layers.ts';
import { qualityPlot } from './report-plot.ts';
import { style } from './report-style.ts';

/** The whole page. */
export function reportPage(report: Report): string {
  const title = `${report.model} with experts`;
  const head = element('head', {}, [
    '<meta charset="utf-8"/>',
    '<meta name="viewport" content="width=device-width, initial-scale=1"/>',
    element('title', {}, escaped(title)),
    element('style', {}, style),
  ]);
  const body = element('body', {}, element('main', {}, [element('h1', {}, escaped(title)), lead(report), bargain(report), quality(report), layers(report), foot(report)]));
  return `<!DOCTYPE html>\n${element('html', { lang: 'en' }, [head, body])}\n`;
}

const counted = (value: number): string => (value >= 1e6 ? `${(value / 1e6).toFixed(1)} M` : value >= 1e3 ? `${(value / 1e3).toFixed(1)} k` : String(value));

const capital = (words: string): string => words.charAt(0).toUpperCase() + words.slice(1);

/** The outcome in a sentence or two, then what was asked for. */
function lead(report: Report): string {
  const { family, feedForwards, whole, settings, picks } = report;
  const [first] = picks;
  const places = picks.length === 1 ? 'one feed-forward' : `${picks.length} feed-forwards`;
  const even = picks.every((one) => one.mean === first?.mean && one.size === first.size && one.shared === first.shared);
  const ran =
    !first || !even
      ? 'some of the experts'
      : `${picksFigure(first.mean)} of ${first.experts} experts of ${first.size} neurons${first.shared > 0 ? ` and ${first.shared} shared neurons` : ''}`;
  const sentences = [
    `In ${places} a token runs ${ran}.`,
    `A token meets ${percent(feedForwards.active / feedForwards.total, 0)} of the feed-forwards' parameters, ${percent(whole.active / whole.total, 0)} of those of the whole model: at best ${times(ideal(whole))} as fast.`,
    `${capital(identityWords(report))}.`,
  ];
  const asked = Object.entries({ model: family, ...settings }).map(([name, value]) => element('div', {}, [element('dt', {}, escaped(name)), element('dd', {}, escaped(value))]));
  return element('p', {}, escaped(sentences.join(' '))) + element('dl', {}, asked);
}

/** The table of lines, with speeds where these were measured. */
function bargain(report: Report): string {
  const { lines, metric, whole, speed } = report;
  const [prefill, decode] = [gainOf(report, 'prefill'), gainOf(report, 'decode')];
  if (lines.length === 0 && !speed) return '';
  const rows = lines.length > 0 ? lines : [{ name: 'dense' }, { name: 'asked' }];
  const head = ['', ...(metric ? [metric.kind, 'of dense'] : []), 'parameters', ...(prefill ? ['reads, tokens/s', ''] : []), ...(decode ? ['writes, tokens/s', ''] : [])];
  const cells = rows.map((line) => {
    const full = line.name === 'dense' || line.name === 'all experts';
    const speeds = [prefill, decode].flatMap((gain) => {
      if (!gain) return [];
      if (line.name === 'dense') return [rate(gain.dense), times(1)];
      return line.name === 'asked' ? [rate(gain.converted), times(gain.quotient)] : ['', ''];
    });
    const value = 'value' in line ? [metricFigure(line.value, metric?.kind), times(ofDense(report, line))] : [];
    return [line.name, ...value, counted(full ? whole.total : whole.active), ...speeds];
  });
  const shares = [prefill, decode].flatMap((gain, i) => (gain ? [`${i === 0 ? 'reading' : 'writing'} reaches ${percent(gain.share, 0)} of the ideal speed-up`] : []));
  const cached = lines.some((line) => line.cached) ? ['* measured by an earlier call'] : [];
  const notes = [
    ...(metric ? [`${metric.kind} on ${metric.on}`] : []),
    'parameters: those of products that a token meets',
    ...(speed
      ? [
          `${roundWords(speed.dense.length)}, each model in a process of its own, ${threadWords(speed.threads)}, ${speed.context} tokens read${decode ? ` and ${speed.steps} written` : ''}`,
        ]
      : []),
    ...shares,
    ...report.expected.map(
      ({ tokens, dense, experts }) => `the cost model expected the feed-forwards to take ${experts.toFixed(2)} ms in place of ${dense.toFixed(2)} ms for ${tokenWords(tokens)}`,
    ),
    ...(unsteady(report) ? [unsteady(report) ?? ''] : []),
    ...cached,
  ];
  const marked = cells.map((row, i) => row.map((cell, column) => (column === 1 && lines[i]?.cached ? `${cell} *` : cell)));
  return section('The bargain', [tableOf(head, marked, (row) => row[0] === 'asked'), element('p', { class: 'note' }, notes.map(escaped).join('<br/>'))]);
}

function quality(report: Report): string {
  const plot = qualityPlot(report);
  const note =
    'Controls pick among experts of the same size, cost the same and were not timed: they stand at the ideal speed-up. “oracle” knows the true activations, “static” always picks the same experts; for what these and “random” drop nothing stands in.';
  return plot === '' ? '' : section('Quality and speed', [element('figure', {}, [plot, element('figcaption', {}, escaped(note))])]);
}

function layers({ layers: judged }: Report): string {
  if (judged.length === 0) return '';
  const rows = judged.map((layer, i) => [String(i), ...layerFigures(layer), percent(Math.min(...layer.load))]);
  const key = [
    keyed('error', 'error of the output, ‖a − b‖ / ‖b‖'),
    keyed('caught', 'share of the activation mass Σ |h| · ‖v‖ that runs'),
    keyed('best', 'the same with the best picks'),
  ].join(' ');
  const size = cardSize(judged);
  const most = strongest(judged);
  const even = new Set(judged.map(({ picked }) => picked)).size < 2;
  const cards = judged.map((layer, i) => {
    const name = element('figcaption', {}, `<b>${i}</b> ${even ? '' : `${picksFigure(layer.picked)} of ${layer.load.length}, `}${escaped(layer.path)}`);
    return element('figure', { class: 'card', style: `width:${size}px` }, [name, loadBars(layer, size), togetherMap(layer, size, most)]);
  });
  const note = `Above, the share of tokens that pick each expert, with a line where all would be alike. Below, how picks go together: the correlation φ of every two experts over tokens: ${keyed('with', 'together')} ${keyed('against', 'one without the other')} full colour at ±${most.toFixed(2)}.`;
  return [
    section('Layer by layer', [element('figure', {}, [layersPlot(judged), element('figcaption', {}, key)])]),
    section('Experts', [element('p', { class: 'note' }, note), element('div', { class: 'cards' }, cards)]),
    section('Layers as figures', [
      tableOf([layerHeads[0], '', ...layerHeads.slice(1), 'idlest'], rows),
      element('p', { class: 'note' }, 'On the last of the calibration inputs, which nothing was fitted to where there are several.'),
    ]),
  ].join('');
}

/** Pixels of a heat map: whole ones for each expert, smaller where there are many layers. */
function cardSize(judged: readonly Judged[]): number {
  const experts = Math.max(...judged.map(({ load }) => load.length));
  const wanted = judged.length > 8 ? 104 : 144;
  return experts * Math.max(1, Math.round(wanted / experts));
}

function foot({ version }: Report): string {
  return element('footer', {}, escaped(`Written by moec ${version}.`));
}

const keyed = (name: string, words: string): string => element('span', { class: 'keyed' }, element('span', { class: `key ${name}` }, '') + escaped(words));

const section = (title: string, inside: readonly string[]): string => element('section', {}, [element('h2', {}, escaped(title)), ...inside]);

function tableOf(head: readonly string[], rows: readonly (readonly string[])[], marked: (row: readonly string[]) => boolean = () => false): string {
  const cells = (name: 'th' | 'td', row: readonly string[]): string => row.map((cell) => element(name, {}, escaped(cell))).join('');
  const lines = rows.map((row) => element('tr', marked(row) ? { class: 'asked' } : {}, cells('td', row)));
  return element('div', { class: 'scroll' }, element('table', {}, [element('thead', {}, element('tr', {}, cells('th', head))), element('tbody', {}, lines)]));
}
