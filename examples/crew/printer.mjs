// Makes HTML of what guests write.

import { Doer } from 'bosun';
import { answerWith } from './ask.mjs';

/** @type {Record<string, string>} */
const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** @param {string} text */
export function print(text) {
  const escaped = text.replace(/[&<>"]/g, (character) => ENTITIES[character] ?? '');
  return escaped.replace(/\*(.+?)\*/g, '<strong>$1</strong>');
}

export class Printer extends Doer {
  /** @param {object} _options @param {import('bosun').Crewer} crewer */
  constructor(_options, crewer) {
    super({ tock: Number.POSITIVE_INFINITY });
    answerWith(crewer, ({ text }) => print(text));
  }
}
