/** From a file of ONNX to a model whose graph is that of the file, lifted to the operators of today. */

import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { diagnose, type Outcome, refuse } from '../diagnostics/diagnostic.ts';
import type { Value } from '../graph/graph.ts';
import { carried } from '../onnx/extras.ts';
import { flatten } from '../onnx/flatten.ts';
import { type Imported, importModel } from '../onnx/import.ts';
import { upgrade } from '../onnx/upgrade/upgrade.ts';
import { recognised } from '../passes/recognition.ts';
import { ort } from '../targets/ort.ts';
import type { TensorInfo } from '../weights/checkpoint.ts';
import { openTensors, unreadable } from '../weights/open.ts';
import { unrankedType } from './export-settings.ts';
import type { Found } from './find-model.ts';
import { readJson } from './json.ts';

/** How a file of ONNX is read. */
export interface OnnxOptions {
  /** The version of ai.onnx to lift it to; a newer model keeps its own. That of onnxruntime's target where left out. */
  readonly opset?: number;
}

/** A file of ONNX ends before 2 GiB, as protobuf does. */
const largest = 2 ** 31;

/** The model of a file of ONNX: `model.graph` holds foreign nodes, its weights are read where they lie, in the file or beside it. `name` is what messages call the file. */
export function modelOfOnnx(file: string, { opset = ort.opset }: OnnxOptions = {}, name = file): Outcome<Found> {
  const full = resolve(file);
  const bytes = readBytes(full, name);
  if (!bytes.ok) return bytes;
  const read = importModel(bytes.value, name);
  if (!read.ok) return read;
  const lifted = upgrade(read.value, opset, name);
  if (!lifted.ok) return { ok: false, diagnostics: [...read.diagnostics, ...lifted.diagnostics] };
  const strange = portsWithoutType(lifted.value);
  if (strange.length > 0) return refuse(...strange.map((port) => diagnose('onnx-not-understood', { file: name, reason: `${port} is no tensor that moec knows` })));
  const folder = dirname(full);
  const beside = [folder, ...(basename(folder) === 'onnx' ? [dirname(folder)] : [])].find(isCheckpoint);
  const opened = openTensors(folder, tensorsOf(read.value, full));
  if (!opened.ok) return opened;
  const { graph, tensors: _, ...imported } = lifted.value;
  return {
    ok: true,
    diagnostics: [...read.diagnostics, ...lifted.diagnostics],
    value: {
      model: {
        name: basename(full).replace(/\.onnx$/, ''),
        families: [],
        graph,
        params: [],
        layers: { path: '', kind: 'layer', weights: [], parts: [] },
        base: { kind: 'own' },
        derivations: [],
        ...docOf(imported),
      },
      source: name,
      checkpoint: opened.value,
      imported,
      ...(beside === undefined ? {} : { folder: beside }),
    },
  };
}

function tensorsOf({ tensors }: Imported, file: string): readonly TensorInfo[] {
  return tensors.map(({ name, dtype, dims, location, offset, length }) => ({
    name,
    dtype,
    dims,
    file: location === undefined ? file : join(dirname(file), location),
    offset,
    length,
  }));
}

function readBytes(file: string, name: string): Outcome<Uint8Array> {
  try {
    const about = statSync(file);
    if (!about.isFile()) return refuse(diagnose('file-not-readable', { file: name, reason: 'it is not a plain file' }));
    if (about.size >= largest) return refuse(diagnose('onnx-unreadable', { file: name, reason: `it has ${about.size} bytes, and a model of ONNX ends before 2 GiB` }));
    return { ok: true, value: readFileSync(file), diagnostics: [] };
  } catch (error) {
    return refuse(unreadable(name, error));
  }
}

/** Inputs and results that are lists, maps, or of an element type that the language lacks. */
function portsWithoutType(imported: Imported): readonly string[] {
  const { graph } = imported;
  const found = { imported, model: { graph } };
  const lacks = ({ type }: Value, name: string): boolean => !type && !unrankedType(found, name);
  return [
    ...graph.inputs.filter((input) => lacks(input, input.name)).map((input) => `its input \`${input.name}\``),
    ...graph.outputs.filter(({ name, value }) => lacks(value, name)).map(({ name }) => `its result \`${name}\``),
  ];
}

const docOf = ({ extras }: Pick<Imported, 'extras'>): { readonly doc?: string } => (extras.model.docString ? { doc: extras.model.docString } : {});

/** Whether the small files of a checkpoint stand beside the model: a config.json that names a model type. */
function isCheckpoint(folder: string): boolean {
  const config = join(folder, 'config.json');
  const read = existsSync(config) ? readJson(config) : undefined;
  return read?.ok === true && typeof read.value['model_type'] === 'string';
}

/** The model with its graph raised to ops, for what works on ops, and all else that its file says; functions stand where they are called. Other models are as they were. */
export function raisedModel(found: Found): Found {
  const { imported, model } = found;
  if (!imported) return found;
  const graph = recognised(flatten(model.graph, imported.functions));
  return { ...found, model: { ...model, graph }, imported: { ...imported, functions: [], extras: carried(imported.extras, model.graph, graph) } };
}
