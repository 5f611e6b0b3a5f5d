// Numbers as people read them.

/** The first one costs 20 ms, which who only imports this does not pay. */
let formats: { readonly grouped: Intl.NumberFormat; readonly precise: Intl.NumberFormat } | undefined;

function formatsOf(): NonNullable<typeof formats> {
  formats ??= {
    grouped: new Intl.NumberFormat('en-US'),
    precise: new Intl.NumberFormat('en-US', { maximumSignificantDigits: 3 }),
  };
  return formats;
}

export function count(value: number): string {
  return formatsOf().grouped.format(value);
}

/** Per second, three digits at most that mean something. */
export function rate(perSecond: number): string {
  const { grouped, precise } = formatsOf();
  return `${perSecond >= 100 ? grouped.format(Math.round(perSecond)) : precise.format(perSecond)}/s`;
}

/** `0.4 ms`, `42 ms`, `0.42 s`, `12.3 s`, `4:05 min`, `2:07:09 h`. */
export function duration(ms: number): string {
  if (ms < 99.5) return `${ms < 0.95 ? Number(ms.toFixed(1)) : Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  return clock(seconds) + (seconds < 3600 ? ' min' : ' h');
}

/** `0:07`, `4:05`, `2:07:09`; rounded up, so that it says 0 only at the end. */
export function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const [hours, minutes, rest] = parts as [number, number, number];
  const two = (part: number) => String(part).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}
