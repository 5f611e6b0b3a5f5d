// @ts-check
// Rows of blocks: who was busy when.

/**
 * @typedef {object} Span
 * @property {number} from milliseconds
 * @property {number} to
 *
 * @typedef {object} Row
 * @property {string} label
 * @property {readonly Span[]} spans in which it was busy; they do not overlap
 * @property {(text: string) => string} paint
 */

/** One character. */
export const COLUMN_MS = 100;

/** By the share in which it was busy; nothing at all is a dot. */
const BLOCKS = '·▁▂▃▄▅▆▇█';

/** Less than this share of a column is not worth a block. */
const LEAST = 0.01;

/** Columns between two marks on the axis: a second. */
const MARK = 10;

/**
 * As many bands as it takes, one below the other, so that no line is longer than `width`.
 *
 * @param {readonly Row[]} rows
 * @param {number} origin of the first column
 * @param {number} end
 * @param {number} width
 * @param {(text: string) => string} dim
 */
export function timeline(rows, origin, end, width, dim) {
  const indent = Math.max(...rows.map(({ label }) => label.length)) + 1;
  const columns = Math.max(1, Math.ceil((end - origin) / COLUMN_MS));
  const room = Math.max(1, width - indent);
  // Whole seconds, where a second fits.
  const band = room < MARK ? room : room - (room % MARK);
  const shares = rows.map(({ spans }) => sharesOf(spans, origin, columns));
  const lines = [];
  for (let first = 0; first < columns; first += band) {
    const last = Math.min(first + band, columns);
    if (first > 0) lines.push('');
    lines.push(dim(`${' '.repeat(indent)}${axis(first, last, room)}`.trimEnd()));
    rows.forEach(({ label, paint }, i) => {
      const cells = /** @type {number[]} */ (shares[i]).slice(first, last).map(block).join('');
      lines.push(label.padEnd(indent) + cells.replace(/[^·]+/g, paint).replace(/·+/g, dim));
    });
  }
  return lines;
}

/**
 * @param {readonly Span[]} spans
 * @param {number} origin
 * @param {number} columns
 */
function sharesOf(spans, origin, columns) {
  const shares = /** @type {number[]} */ (new Array(columns).fill(0));
  for (const span of spans) {
    const [from, to] = [(span.from - origin) / COLUMN_MS, (span.to - origin) / COLUMN_MS];
    for (let i = Math.max(0, Math.floor(from)); i < Math.min(columns, to); i++) {
      shares[i] = /** @type {number} */ (shares[i]) + Math.min(to, i + 1) - Math.max(from, i);
    }
  }
  return shares;
}

/** @param {number} share */
function block(share) {
  return BLOCKS[share < LEAST ? 0 : Math.max(1, Math.min(8, Math.round(share * 8)))];
}

/**
 * A mark at each second.
 *
 * @param {number} first
 * @param {number} last
 * @param {number} room
 */
function axis(first, last, room) {
  let text = '';
  for (let column = first; column < last; column++) {
    if (column % MARK !== 0) continue;
    const mark = `${(column * COLUMN_MS) / 1_000} s`;
    if (column - first + mark.length <= room) text = text.padEnd(column - first) + mark;
  }
  return text;
}

/**
 * Words, in lines that are no longer than `width` unless a word is.
 *
 * @param {string} text
 * @param {number} width
 */
export function wrap(text, width) {
  const [first = '', ...words] = text.split(' ');
  const lines = [first];
  for (const word of words) {
    const line = `${lines.at(-1)} ${word}`;
    if (line.length <= width) lines[lines.length - 1] = line;
    else lines.push(word);
  }
  return lines;
}
