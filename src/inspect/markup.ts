/** HTML and SVG as text: elements with escaped attributes, and the numbers that stand in them. */

/** Attributes by name; one that is undefined is left out. */
export type Attributes = Readonly<Record<string, string | number | undefined>>;

/** An element; `inside` is markup already. */
export function element(name: string, attributes: Attributes = {}, inside?: string | readonly string[]): string {
  const given = Object.entries(attributes).flatMap(([key, value]) => (value === undefined ? [] : [` ${key}="${escaped(typeof value === 'number' ? short(value) : value)}"`]));
  const open = `<${name}${given.join('')}`;
  return inside === undefined ? `${open}/>` : `${open}>${typeof inside === 'string' ? inside : inside.join('')}</${name}>`;
}

/** Text as it stands in markup. */
export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** A number of a drawing, to a hundredth. */
export function short(value: number): string {
  return String(Math.round(value * 100) / 100);
}

/** A picture of so many units, that a reader of the page without eyes hears as `title`. */
export function picture(width: number, height: number, title: string, inside: readonly string[], attributes: Attributes = {}): string {
  return element(
    'svg',
    { xmlns: 'http://www.w3.org/2000/svg', viewBox: `0 0 ${short(width)} ${short(height)}`, width, height, role: 'img', 'aria-label': title, ...attributes },
    inside,
  );
}
