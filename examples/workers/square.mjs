// What the workers of these examples run.

/** @param {number} x */
export const square = (x) => x ** 2;

/** @param {number} x */
export function giveUp(x) {
  throw new Error(`How is one supposed to live on this miserable world where x = ${x}?`);
}
