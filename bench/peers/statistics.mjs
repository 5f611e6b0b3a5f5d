export const median = (values) => percentile(values, 50);

/** Between two ranks, what lies between their values. */
export function percentile(values, p) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = ((sorted.length - 1) * p) / 100;
  const below = sorted[Math.floor(at)];
  return below + (sorted[Math.ceil(at)] - below) * (at - Math.floor(at));
}
