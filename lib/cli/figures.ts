// Numbers as people read them.

const GROUPED = new Intl.NumberFormat('en-US');
const PRECISE = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 3 });

export function count(value: number): string {
  return GROUPED.format(value);
}

/** Per second, three digits at most that mean something. */
export function rate(perSecond: number): string {
  return `${perSecond >= 100 ? GROUPED.format(Math.round(perSecond)) : PRECISE.format(perSecond)}/s`;
}
