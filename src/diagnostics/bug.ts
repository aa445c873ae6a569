/** The one exception moec throws on purpose: an invariant of its own that does not hold. */

/** A fault of moec's own, not of its user. `detail` is what a report should carry, such as the graph text. */
export class Bug extends Error {
  readonly detail: string;

  constructor(message: string, detail = '') {
    super(message);
    this.name = 'Bug';
    this.detail = detail;
  }
}
