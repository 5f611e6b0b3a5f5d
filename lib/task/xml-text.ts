// Any text as text of XML and HTML.

/** Without what XML has no place for, not even as a reference: control characters and halves of letters. */
export function legalText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it is about
  return text.toWellFormed().replace(/[\0-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]/g, '\ufffd');
}
