// HTML from templates. What is put into one is text, unless it is HTML already.

import { legalText } from '../task/xml-text.js';

/** Text that is HTML as it stands. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What may be put into a template; undefined is nothing. */
export type HtmlPart = Html | string | number | undefined | readonly Html[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Any text as text, inside of a quoted attribute too. */
export function escapeText(text: string): string {
  return legalText(text).replace(/[&<>"']/g, (letter) => ENTITIES[letter] as string);
}

/** A template: `html`\`<b>${name}</b>\``. */
export function html(strings: TemplateStringsArray, ...parts: HtmlPart[]): Html {
  return new Html(strings.map((text, i) => (i === 0 ? text : toText(parts[i - 1]) + text)).join(''));
}

function toText(part: HtmlPart): string {
  if (part === undefined) return '';
  if (part instanceof Html) return part.text;
  if (typeof part === 'string') return escapeText(part);
  return typeof part === 'number' ? String(part) : part.map(({ text }) => text).join('');
}
