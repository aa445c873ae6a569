/** The `.moe` file of a conversion: the model that it began at, which layers became experts, and the file that says how. */

import { format } from '../../grammar/print.ts';

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

/** The source text. `paths` are those of the converted layers, `artefact` the name of the file beside. */
export function emergentSource(name: string, doc: string, origin: Origin, paths: readonly string[], artefact: string): string {
  const base = origin.kind === 'model' ? origin.name : `onnx ${JSON.stringify(origin.file)}`;
  const imports = origin.kind === 'model' ? `import { ${origin.name} } from ${JSON.stringify(origin.from)}\n` : '';
  const weights = origin.kind === 'model' && origin.weights !== undefined ? `  weights from ${JSON.stringify(origin.weights)}\n` : '';
  const derivations = ranges(paths).map((path) => `  emergent ${path} { group = from ${JSON.stringify(artefact)} }\n`);
  const text = `${imports}\n/// ${doc}\nmodel ${name} from ${base} {\n${derivations.join('')}${weights}}\n`;
  return format(text, `${name}.moe`).text;
}

/** Paths that differ in one number as ranges: `blocks.0.ffn`, `blocks.1.ffn` are `blocks[0..2].ffn`. */
export function ranges(paths: readonly string[]): readonly string[] {
  const runs: { before: string; after: string; from: number; to: number }[] = [];
  for (const path of paths) {
    const [, before = path, number = '', after = ''] = /^(.*?)\.(\d+)((?:\.[^.\d][^.]*)*)$/.exec(path) ?? [];
    const at = Number(number);
    const last = runs.at(-1);
    if (number !== '' && last && last.before === before && last.after === after && last.to === at) last.to++;
    else runs.push({ before, after, from: at, to: number === '' ? at : at + 1 });
  }
  return runs.map(({ before, after, from, to }) => (to === from ? before : `${before}[${to === from + 1 ? from : `${from}..${to}`}]${after}`));
}

/** A name for the model: `SmolLM2_135M` of `SmolLM2-135M`, with `Emergent` after it. */
export function nameOfEmergent(of: string): string {
  const word = of.replaceAll(/\W+/g, '_').replace(/^(\d)/, '_$1');
  return `${word.charAt(0).toUpperCase()}${word.slice(1)}Emergent`;
}
