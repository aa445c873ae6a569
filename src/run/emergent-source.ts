/** The `.moe` file of a conversion: the model that it began at, which layers became experts, and the file that says how. */

import { format } from '../../grammar/print.ts';
import { quote } from '../../grammar/strings.ts';
import { Bug } from '../diagnostics/bug.ts';

/** What a converted model is derived from. */
export type Origin =
  | {
      readonly kind: 'model';
      readonly name: string;
      /** As an import names its file: `zoo/llama`, `../mine`. */
      readonly from: string;
      /** The checkpoint, where there is one. */
      readonly weights?: string;
    }
  | { readonly kind: 'onnx'; readonly file: string };

/** What was converted, and where the file beside has it. */
export interface Emergence {
  /** Of the layers. */
  readonly paths: readonly string[];
  /** The name of the file. */
  readonly artefact: string;
  /** Whether a shared block may be among them in some of its places only. */
  readonly untie: boolean;
}

/** The source text. */
export function emergentSource(name: string, doc: string, origin: Origin, { paths, artefact, untie }: Emergence): string {
  const base = origin.kind === 'model' ? origin.name : `onnx ${quote(origin.file)}`;
  const imports = origin.kind === 'model' ? `import { ${origin.name} } from ${quote(origin.from)}\n` : '';
  const weights = origin.kind === 'model' && origin.weights !== undefined ? `  weights from ${quote(origin.weights)}\n` : '';
  const derivations = ranges(paths).map((path) => `  emergent ${path} { group = from ${quote(artefact)}${untie ? '  untie = true' : ''} }\n`);
  const text = `${imports}\n/// ${doc}\nmodel ${name} from ${base} {\n${derivations.join('')}${weights}}\n`;
  const { text: written, faults } = format(text, `${name}.moe`);
  if (faults.length > 0) throw new Bug(`what was written is no source: ${faults.map(({ code }) => code).join(', ')}`, text);
  return written;
}

/** Paths that follow each other in their last number as ranges: `blocks.0.ffn`, `blocks.1.ffn` are `blocks[0..2].ffn`. */
function ranges(paths: readonly string[]): readonly string[] {
  const runs: { before: string; after: string; from: number; to: number }[] = [];
  for (const path of paths) {
    const [, before = path, number = '', after = ''] = /^(.*)\.(\d+)(\..*)?$/.exec(path) ?? [];
    const at = Number(number);
    const last = runs.at(-1);
    if (number !== '' && last && last.before === before && last.after === after && last.to === at) last.to++;
    else runs.push({ before, after, from: at, to: number === '' ? at : at + 1 });
  }
  return runs.map(({ before, after, from, to }) => `${indexed(before)}${to === from ? '' : `[${to === from + 1 ? from : `${from}..${to}`}]`}${after}`);
}

/** `towers.0.blocks` as the language writes it, `towers[0].blocks`. */
const indexed = (path: string): string => path.replaceAll(/\.(\d+)(?=\.|$)/g, '[$1]');

/** A name for the model: `SmolLM2_135M` of `SmolLM2-135M`, with `Emergent` after it; never the one that it is derived from. */
export function nameOfEmergent(of: string, base: string): string {
  const word = of.replaceAll(/\W+/g, '_').replace(/^(\d)/, '_$1');
  const name = `${word.charAt(0).toUpperCase()}${word.slice(1)}Emergent`;
  return name === base ? `${name}2` : name;
}
