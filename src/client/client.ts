/** Writes a typed TypeScript module for a compiled folder. The module needs onnxruntime-node and nothing else. */

import { dirname, relative, sep } from 'node:path';
import { IndentationText, Project, QuoteKind, type SourceFile, VariableDeclarationKind } from 'ts-morph';
import type { CompiledFolder } from '../run/folder.ts';
import { typeOf } from '../run/inputs.ts';
import type { Port } from '../run/tensor.ts';
import { generateMethod, generateOptions, largestFunction } from './generation.ts';
import { inputType, outputType, propertyName, quotedText, spelled, tensorTypes } from './ports.ts';

/** The text of the module. `file` is where it will stand: the module finds the folder from there. */
export function writeClient({ folder, manifest, executable }: CompiledFolder, file: string): string {
  const project = new Project({ useInMemoryFileSystem: true, manipulationSettings: { indentationText: IndentationText.TwoSpaces, quoteKind: QuoteKind.Single } });
  const module = project.createSourceFile('client.ts', '', { overwrite: true });
  const name = pascal(manifest.model);
  const decoder = manifest.form === 'step' ? { ...executable, inputs: manifest.inputs } : undefined;
  module.addStatements(
    `/**\n * ${manifest.model}, compiled from ${inComment(manifest.source)} for ${manifest.target} by moec ${manifest.moec}.\n * Written by \`moec client\`: write it again rather than change it.\n */`,
  );
  module.addImportDeclaration({ moduleSpecifier: 'onnxruntime-node', namedImports: [{ name: 'InferenceSession' }, { name: 'Tensor' }, { name: 'TypedTensor', isTypeOnly: true }] });
  module.addImportDeclaration({ moduleSpecifier: 'node:url', namedImports: ['fileURLToPath'] });
  addPorts(module, name, { folder, manifest, executable });
  if (decoder) module.addInterface({ ...generateOptions(decoder), name: 'GenerateOptions', isExported: true });
  addModel(module, name, decoder !== undefined);
  addLoad(module, name, folderFrom(file, folder), decoder ? generateMethod(decoder) : undefined);
  module.addStatements(`\n${tensorFunction}`);
  if (decoder) module.addStatements(`\n${largestFunction}`);
  module.formatText({ indentSize: 2 });
  return module.getFullText();
}

/** `Inputs`, `Outputs`, and what checking inputs needs at run time. */
function addPorts(module: SourceFile, name: string, { manifest: { inputs, outputs } }: CompiledFolder): void {
  module.addInterface({
    name: `${name}Inputs`,
    isExported: true,
    docs: ['What the model takes: tensors, or lists in lists.'],
    properties: inputs.map((port) => ({ name: propertyName(port.name), type: inputType(port), isReadonly: true, docs: [spelled(port)] })),
  });
  module.addInterface({
    name: `${name}Outputs`,
    isExported: true,
    docs: ['What the model gives.'],
    properties: outputs.map((port) => ({ name: propertyName(port.name), type: outputType(port), isReadonly: true, docs: [spelled(port)] })),
  });
  module.addVariableStatement({
    declarationKind: VariableDeclarationKind.Const,
    docs: ['Element types and sizes of the inputs; a size with a name is known at run time, and any sizes will do where there are none.'],
    declarations: [
      {
        name: 'inputTypes',
        type: 'Readonly<Record<string, { readonly type: Tensor.Type; readonly dims?: readonly (number | string)[]; readonly spelled: string }>>',
        initializer: `{\n${inputs.map((port) => `${propertyName(port.name)}: { type: '${tensorTypes[port.dtype]}', ${sizesOf(port)}spelled: ${quotedText(typeOf(port))} },`).join('\n')}\n}`,
      },
    ],
  });
}

const sizesOf = ({ dims, open }: Port): string => (open ? '' : `dims: [${dims.map((size) => (typeof size === 'number' ? size : quotedText(size))).join(', ')}], `);

function addModel(module: SourceFile, name: string, generates: boolean): void {
  module.addInterface({
    name: `${name}Model`,
    isExported: true,
    docs: ['A loaded model.'],
    properties: [{ name: 'session', type: 'InferenceSession', isReadonly: true, docs: ['The session of onnxruntime behind it.'] }],
    methods: [
      { name: 'run', parameters: [{ name: 'inputs', type: `${name}Inputs` }], returnType: `Promise<${name}Outputs>`, docs: ['Runs the model once.'] },
      ...(generates
        ? [
            {
              name: 'generate',
              parameters: [
                { name: 'prompt', type: 'readonly number[]' },
                { name: 'options', type: 'GenerateOptions', hasQuestionToken: true },
              ],
              returnType: 'AsyncGenerator<number, void, undefined>',
              docs: ['Continues a prompt, token by token; the token that ends the text is the last.'],
            },
          ]
        : []),
      { name: 'release', returnType: 'Promise<void>', docs: ['Frees the model.'] },
    ],
  });
}

function addLoad(module: SourceFile, name: string, folder: string, generate: string | undefined): void {
  module.addFunction({
    name: 'load',
    isExported: true,
    isAsync: true,
    docs: ['Loads the model. `folder` is the one that `moec compile` wrote; it ends in a slash where it is a URL.'],
    parameters: [
      { name: 'folder', type: 'string | URL', initializer: `new URL(${quotedText(folder)}, import.meta.url)` },
      { name: 'options', type: 'InferenceSession.SessionOptions', initializer: '{}' },
    ],
    returnType: `Promise<${name}Model>`,
    statements: [
      `const path = typeof folder === 'string' ? \`\${folder}/model.onnx\` : fileURLToPath(new URL('model.onnx', folder));`,
      'const session = await InferenceSession.create(path, options);',
      `return {
  session,
  async run(inputs) {
    const feeds = Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, tensorOf(name, value)]));
    return (await session.run(feeds)) as unknown as ${name}Outputs;
  },${generate === undefined ? '' : `\n${generate}`}
  release: () => session.release(),
};`,
    ],
  });
}

/** Turns lists into tensors, and checks rank and sizes. */
const tensorFunction = `/** A tensor as it is, or one made of lists; a TypeError where it does not fit. */
function tensorOf(name: string, value: unknown): Tensor {
  const expected = inputTypes[name];
  if (!expected) throw new TypeError(\`the model has no input \${name}\`);
  const dims: number[] = [];
  for (let at: unknown = value; Array.isArray(at); at = at[0]) dims.push(at.length);
  const found = value instanceof Tensor ? value.dims : dims;
  const wanted = expected.dims ?? found;
  const fits = found.length === wanted.length && found.every((size, axis) => typeof wanted[axis] === 'string' || wanted[axis] === size);
  if (!fits) throw new TypeError(\`\${name} has the sizes [\${found.join(', ')}]; the model takes \${expected.spelled}\`);
  if (value instanceof Tensor) return value;
  const leaves: unknown[] = [value].flat(Number.POSITIVE_INFINITY);
  if (leaves.length !== dims.reduce((product, size) => product * size, 1)) throw new TypeError(\`the lists of \${name} have different lengths\`);
  return new Tensor(expected.type, leaves as number[], dims);
}`;

/** The folder as a URL from the module. */
function folderFrom(file: string, folder: string): string {
  const path = relative(dirname(file), folder).split(sep).map(encodeURIComponent).join('/');
  return `${path.startsWith('..') ? '' : './'}${path}${path === '' ? '' : '/'}`;
}

/** A name for types: `smol_lm2` becomes `SmolLm2`. */
function pascal(name: string): string {
  const words = name.split(/[^A-Za-z0-9]+/).filter((word) => word !== '');
  const joined = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
  return /^[A-Za-z]/.test(joined) ? joined : `Model${joined}`;
}

const inComment = (text: string): string => text.replaceAll('*/', '* /');
