/** Layers checked for any sizes: those that no model of the file contains, with formals that stand for any number. */

import type { Formal, LayerDecl } from '../../grammar/ast.ts';
import { relabel, symbol } from '../graph/dim.ts';
import type { GivenArgument } from './arguments.ts';
import { bindWeights } from './bind.ts';
import { buildForward } from './build.ts';
import { checkMixtures } from './check-mixtures.ts';
import { type Context, fault, moduleEnv, openMark } from './context.ts';
import { constantWord } from './formal-type.ts';
import { bodyOf, instantiate } from './instantiate.ts';
import type { Module } from './program.ts';
import { poison, type Thing } from './thing.ts';

/** Checks every layer of the root file that has not been reached. */
export function checkUnreached(context: Context): void {
  const { root } = context.program;
  for (const entry of root.names.values()) {
    if (entry.kind === 'layer' && entry.module === root && !context.ran.has(entry.decl)) checkLayer(context, entry.decl, root);
  }
}

function checkLayer(context: Context, decl: LayerDecl, module: Module): void {
  const args = decl.formals.map((formal): GivenArgument => ({ name: formal.name, thing: anyOf(formal), span: formal.span, spelling: formal.name.text }));
  const made = instantiate(decl, module, args, moduleEnv(context, module), decl.name.span);
  if (made.kind === 'poison') return;
  const skeleton = buildForward(context, made, new Map());
  bindWeights(context, made);
  if (skeleton) checkMixtures(context, skeleton);
}

function anyOf({ name, type }: Formal): Thing {
  if (type.kind === 'layer-type') return { kind: 'opaque' };
  if (type.dims) return { kind: 'list' };
  switch (constantWord(type)) {
    case 'int':
      return { kind: 'int', value: relabel(symbol(name.text + openMark), name.text) };
    case 'float':
      return { kind: 'float' };
    case 'bool':
      return { kind: 'bool' };
    case 'string':
      return { kind: 'string' };
    case undefined:
      return poison;
  }
}

/** Warns of weights and parts of the file's layers that nothing reads; only where no fault may have hidden a use. */
export function warnUnused(context: Context): void {
  if ([...context.program.diagnostics, ...context.diagnostics].some((one) => one.severity === 'error')) return;
  for (const [decl, read] of context.used) {
    if (!context.ran.has(decl)) continue;
    if (context.program.root.ast.items.every((item) => item !== decl)) continue;
    const env = moduleEnv(context, context.program.root);
    for (const member of bodyOf(decl)?.members ?? []) {
      if (member.kind === 'weight') for (const { text, span } of member.names) if (!read.has(text)) fault(env, 'weight-unused', { name: text }, { at: span });
      if (member.kind === 'part' && !read.has(member.name.text)) fault(env, 'part-unused', { name: member.name.text }, { at: member.name.span });
    }
  }
}
