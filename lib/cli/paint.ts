// Colour on standard error, where it is wanted.

export type Paint = (text: string) => string;

export interface Palette {
  readonly bold: Paint;
  readonly dim: Paint;
  readonly red: Paint;
  readonly green: Paint;
  readonly yellow: Paint;
}

const sgr =
  (on: number, off: number): Paint =>
  (text) =>
    `\u001b[${on}m${text}\u001b[${off}m`;
const plain: Paint = (text) => text;

/** No colour unless it is a terminal; NO_COLOR, FORCE_COLOR and TERM=dumb decide as in Node.js itself. */
export function paletteOf(stream: NodeJS.WriteStream): Palette {
  if (!stream.isTTY || !stream.hasColors()) return { bold: plain, dim: plain, red: plain, green: plain, yellow: plain };
  return { bold: sgr(1, 22), dim: sgr(2, 22), red: sgr(31, 39), green: sgr(32, 39), yellow: sgr(33, 39) };
}
