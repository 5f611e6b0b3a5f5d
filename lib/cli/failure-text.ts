// Errors as people read them, on standard error.

import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { describe } from '../describe.js';
import { BosunError, WorkerException } from '../errors.js';
import { LIBRARY } from '../package-root.js';
import { UsageError } from './exit-code.js';
import { type Palette, paletteOf } from './paint.js';

/** Writes an error as text: one line for what the user did wrong, with the stack for what a program did. */
export function complain(error: unknown): void {
  const paint = paletteOf(process.stderr);
  say(error instanceof UsageError ? error.message : failureText(error, paint));
}

/** Writes a line to standard error, as ours. */
export function say(text: string): void {
  process.stderr.write(`${paletteOf(process.stderr).red('bosun:')} ${text}\n`);
}

/**
 * What failed and where; then the frames of the original error, with its own properties and causes. The frames are
 * those of the worker.
 */
export function failureText(error: unknown, paint: Palette): string {
  if (!(error instanceof WorkerException)) return detailed(error, '', paint);
  const { cause } = error;
  return cause === undefined ? error.message : detailed(cause, error.message, paint);
}

/** One line. */
export function shortFailure(error: unknown): string {
  const cause = error instanceof WorkerException && error.cause !== undefined ? error.cause : error;
  return oneLine(describe(cause));
}

/** As much of a text as is good on one line. */
export function oneLine(text: string, most = 200): string {
  const line = text.trim().split(/\s*\n\s*/, 1)[0] as string;
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}

/** `headline` ends with the error's name and message already, unless it is empty. */
function detailed(error: unknown, headline: string, paint: Palette): string {
  const text = withoutOurFrames(error);
  if (!(error instanceof Error)) return headline === '' ? text : headline;
  const title = `${error.name}: ${error.message}`;
  if (headline === '') return withDimFrames(text, paint);
  return text.startsWith(title)
    ? headline + withDimFrames(text.slice(title.length), paint)
    : `${headline}\n${withDimFrames(text, paint)}`;
}

const OUR_LIBRARY = pathToFileURL(`${LIBRARY}/`).href;

/** Frames of the user's modules are what helps; ours are kept only where there are no others, as in a bug of ours. */
function withoutOurFrames(error: unknown): string {
  const text = inspect(error);
  // A frame may be followed by the opening brace of the error's properties, which has to stay.
  const filtered = text.replace(/\n +at ([^\n]*?)(?=( \{)?(\n|$))/g, (frame, place: string) =>
    place.includes(OUR_LIBRARY) || place.includes('node:') || place.includes('/commander/') ? '' : frame,
  );
  return error instanceof BosunError || /^ +at /m.test(filtered) ? filtered : text;
}

function withDimFrames(text: string, paint: Palette): string {
  return text.replace(/^ +at .*$/gm, (frame) => paint.dim(frame));
}
