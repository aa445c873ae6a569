/** Typed message templates: the names of the holes become the type of what must be given. */

/** A message with holes named `H`. */
export interface Template<H extends string = string> {
  readonly holes: readonly H[];
  readonly parts: readonly string[];
}

/** Tags a template: text`cannot multiply ${'left'} by ${'right'}`. */
export function text<const H extends string>(parts: TemplateStringsArray, ...holes: H[]): Template<H> {
  return { holes, parts: [...parts] };
}

/** The message with every hole filled. */
export function fill<H extends string>(template: Template<H>, values: Readonly<Record<H, string | number>>): string {
  return template.parts.reduce((said, part, i) => {
    const hole = template.holes[i - 1];
    return said + (hole === undefined ? '' : String(values[hole])) + part;
  });
}
