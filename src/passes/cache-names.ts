/** What loaders call the keys and values of a step: as they come in `past_key_values.3.key`, as they go out `present.3.key`. Whoever adds, feeds or keeps them goes by these names. */

/** What the name of an input begins with that takes keys or values of the past. */
export const pastPrefix = 'past_key_values.';

/** What the name of a result begins with that a next step takes. */
export const presentPrefix = 'present.';

/** Whether an input takes keys or values of the past. */
export function isPast({ name }: { readonly name: string }): boolean {
  return name.startsWith(pastPrefix);
}

/** Whether a result is keys or values that a next step takes. */
export function isPresent({ name }: { readonly name: string }): boolean {
  return name.startsWith(presentPrefix);
}

/** The result that becomes an input of the past: `present.3.key` of `past_key_values.3.key`. */
export const presentOf = (input: string): string => presentPrefix + input.slice(pastPrefix.length);

/** The input that a result becomes: `past_key_values.3.key` of `present.3.key`. */
export const pastOf = (result: string): string => pastPrefix + result.slice(presentPrefix.length);
