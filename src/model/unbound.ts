/** Weights that no `weights` block binds: one report for each layer that has such, with all the paths it stands at. */

import { withFreeIndices, writtenPath } from './bind.ts';
import { type Context, fault, moduleEnv } from './context.ts';
import { bodyOf } from './instantiate.ts';
import type { PlacedWeight } from './paths.ts';

/** Reports weights without source. */
export function reportUnbound(context: Context, weights: readonly PlacedWeight[]): void {
  for (const decl of new Set(weights.map(({ owner }) => owner.decl)))
    reportGroup(
      context,
      weights.filter(({ owner }) => owner.decl === decl),
    );
}

function reportGroup(context: Context, group: readonly PlacedWeight[]): void {
  const [first] = group;
  if (!first) return;
  const { owner, weight } = first;
  const paths = [...new Set(group.map(({ path }) => withFreeIndices(writtenPath(path))))];
  const path = paths[0] ?? '';
  const layer = path.slice(0, -weight.name.length - 1);
  const named = (bodyOf(owner.decl)?.weights?.bindings.length ?? 0) > 0 && layer !== '';
  const source = path.includes('[i]') ? '"….{i}.…"' : '"…"';
  const fix = named ? `give its layer a prefix: \`${layer} <- ${source}\`` : `bind it in \`weights\`: \`${path} <- ${source}\``;
  const more = paths.length > 4 ? `, and ${paths.length - 3} more` : '';
  fault(
    { ...moduleEnv(context, owner.module), ...(owner.trace ? { trace: owner.trace } : {}) },
    'weight-unbound',
    {
      path:
        paths
          .slice(0, more === '' ? 4 : 3)
          .map((one) => `\`${one}\``)
          .join(', ') + more,
    },
    { at: weight.decl.names.find((one) => one.text === weight.name)?.span ?? weight.decl.span, fixes: [{ text: fix }] },
  );
}
