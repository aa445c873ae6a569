/** The report of a conversion: what follows from its figures, and that the page holds all of them and is well-formed. */

import { describe, expect, it } from 'vitest';
import { gainOf, ideal, type Report, reportJson, unsteady } from '../src/inspect/report.ts';
import { correlations, strongest } from '../src/inspect/report-layers.ts';
import { reportPage } from '../src/inspect/report-page.ts';
import { qualityPlot } from '../src/inspect/report-plot.ts';
import type { Judged } from '../src/passes/emergent/judge.ts';
import type { Round } from '../src/run/bench.ts';

const round = (prefill: number, decode?: number): Round => ({ load: 1, speeds: [{ context: 256, prefill, ...(decode === undefined ? {} : { decode }) }] });

/** Two experts of four, of which 0 and 1 always go together. */
const judged: Judged = {
  path: 'blocks.0.ffn',
  picked: 2,
  identity: 3e-7,
  error: 0.25,
  captured: 0.75,
  best: 0.875,
  load: [0.5, 0.5, 0.5, 0.5],
  together: [
    [0.5, 0.5, 0, 0],
    [0.5, 0.5, 0, 0],
    [0, 0, 0.5, 0.5],
    [0, 0, 0.5, 0.5],
  ],
};

const report: Report = {
  model: 'a <small> & "odd" model',
  family: 'Tiny',
  version: '0.0',
  settings: { experts: '4', pick: 'top(2)' },
  metric: { kind: 'perplexity', on: '100 tokens of a<b.txt' },
  lines: [
    { name: 'dense', value: 4, cached: true },
    { name: 'all experts', value: 4, cached: false },
    { name: 'asked', value: 5, cached: false },
    { name: 'random', value: 40, cached: false },
  ],
  feedForwards: { active: 50, total: 100 },
  whole: { active: 150, total: 200 },
  speed: { context: 256, steps: 32, threads: 2, onText: true, dense: [round(100, 10), round(50, 5), round(100, 10)], converted: [round(110, 12), round(60, 6), round(130, 11)] },
  expected: [
    { tokens: 1, dense: 2, experts: 1 },
    { tokens: 256, dense: 40, experts: 41.5 },
  ],
  identity: 3e-7,
  layers: [judged, { ...judged, path: 'blocks.1.ffn' }],
  picks: [
    { path: 'blocks.0.ffn', experts: 4, size: 8, picks: 2, mean: 2, shared: 0 },
    { path: 'blocks.1.ffn', experts: 4, size: 8, picks: 2, mean: 2, shared: 0 },
  ],
};

/** Names of elements in the order in which they open; throws where they do not nest. */
function elementsOf(markup: string): readonly string[] {
  const open: string[] = [];
  const seen: string[] = [];
  const attributes = String.raw`(?:\s[\w:-]+="[^"<&]*(?:&(?:amp|lt|gt|quot);[^"<&]*)*")*`;
  const tag = new RegExp(String.raw`^<(?:/([\w]+)|([\w]+)${attributes}\s*(/?))>`);
  for (let rest = markup.replace(/^<!DOCTYPE html>\n/, '').trimEnd(); rest !== ''; ) {
    const text = /^[^<]+/.exec(rest)?.[0];
    if (text !== undefined) {
      if (/&(?!amp;|lt;|gt;|quot;)/.test(text)) throw new Error(`a bare & in ${text}`);
      rest = rest.slice(text.length);
      continue;
    }
    const [whole, closes, opens, single] = tag.exec(rest) ?? [];
    if (whole === undefined) throw new Error(`no element: ${rest.slice(0, 80)}`);
    if (closes !== undefined && open.pop() !== closes) throw new Error(`</${closes}> closes nothing`);
    if (opens !== undefined) seen.push(opens);
    if (opens !== undefined && single === '') open.push(opens);
    rest = rest.slice(whole.length);
  }
  if (open.length > 0) throw new Error(`left open: ${open.join(' ')}`);
  return seen;
}

describe('what follows from the figures', () => {
  it('the gain is the median of quotients round by round, its share is of what parameters of the whole model allow', () => {
    const prefill = gainOf(report, 'prefill');
    expect(ideal(report.whole)).toBeCloseTo(4 / 3, 12);
    expect(prefill).toMatchObject({ dense: 100, converted: 110, quotient: 1.2 });
    expect(prefill?.share).toBeCloseTo(1.2 / (4 / 3), 12);
    expect(gainOf(report, 'decode')?.quotient).toBeCloseTo(1.2, 12);
  });

  it('a model that writes nothing has no gain in writing, and nothing timed has none at all', () => {
    expect(gainOf({ ...report, speed: { ...(report.speed as NonNullable<Report['speed']>), dense: [round(1)], converted: [round(2)] } }, 'decode')).toBeUndefined();
    expect(gainOf({ whole: report.whole }, 'prefill')).toBeUndefined();
  });

  it('rounds that differ much are told', () => {
    expect(unsteady(report)).toContain('2.17 ×');
    expect(unsteady({ speed: { ...(report.speed as NonNullable<Report['speed']>), dense: [round(100, 10), round(105, 11)], converted: [round(9, 9)] } })).toBeUndefined();
  });

  it('picks correlate as φ has it: 1 for experts that go together, -1 for those that never do', () => {
    const found = correlations(judged);
    expect(found[0]?.map((one) => Math.round(1e9 * one) / 1e9)).toEqual([0, 1, -1, -1]);
    expect(found[2]?.[3]).toBeCloseTo(1, 12);
    expect(strongest([judged])).toBeCloseTo(1, 12);
    const always = {
      load: [1, 0.5],
      together: [
        [1, 0.5],
        [0.5, 0.5],
      ],
    };
    expect(correlations(always)).toEqual([
      [0, 0],
      [0, 0],
    ]);
  });

  it('the data hold the figures and what follows', () => {
    const data = JSON.parse(JSON.stringify(reportJson(report)));
    expect(data).toMatchObject({
      model: report.model,
      metric: report.metric,
      parameters: { whole: { active: 150, total: 200 }, feedForwards: { ideal: 2 } },
      speed: { context: 256, decode: { dense: 10, converted: 11 }, prefill: { dense: 100 } },
      layers: report.layers,
      picks: report.picks,
    });
    expect(data.lines.map((line: { ofDense: number }) => line.ofDense)).toEqual([1, 1, 1.25, 10]);
    expect(data.speed.dense).toHaveLength(3);
  });
});

describe('the page', () => {
  const page = reportPage(report);
  const elements = elementsOf(page);

  it('is well-formed and needs nothing beside it', () => {
    expect(elements[0]).toBe('html');
    expect(page.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|<script|<link|<img|url\(|@import|src=/);
    expect(page).toContain('prefers-color-scheme: dark');
  });

  it('escapes what it is given', () => {
    expect(page).toContain('a &lt;small&gt; &amp; &quot;odd&quot; model');
    expect(page).toContain('100 tokens of a&lt;b.txt');
  });

  it('has the table, a plot, one plot of layers, and two pictures for each layer', () => {
    expect(elements.filter((name) => name === 'svg')).toHaveLength(2 + 2 * report.layers.length);
    const text = page.replaceAll(/<style>.*?<\/style>/gs, '').replaceAll(/<[^>]*>/g, ' ');
    for (const figure of ['4.000 *', '5.000', '1.25 ×', '10.00 ×', '110', '1.20 ×', '3.0e-7', '75.0 %', '87.5 %', '25.0 %', 'blocks.1.ffn', '41.50 ms'])
      expect(text).toContain(figure);
  });

  it('leaves out what was not measured', () => {
    const { metric: _, speed: __, ...rest } = report;
    const bare = elementsOf(reportPage({ ...rest, lines: [], layers: [] }));
    expect(bare).not.toContain('svg');
    expect(bare).not.toContain('table');
    expect(qualityPlot({ ...rest, lines: [] })).toBe('');
  });

  it('holds figures alone where numbers stand in drawings', () => {
    expect(page).not.toMatch(/NaN|Infinity|undefined/);
    const flat = {
      ...judged,
      load: [1, 1],
      together: [
        [1, 1],
        [1, 1],
      ],
    };
    expect(reportPage({ ...report, lines: report.lines.map((line) => ({ ...line, value: 4 })), layers: [flat] })).not.toMatch(/NaN|Infinity|undefined/);
  });
});
