// As much of Markdown as the pages need.

/** @type {Readonly<Record<string, string>>} */
const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** @param {string} text */
const escape = (text) => text.replace(/[&<>"]/g, (letter) => ENTITIES[letter] ?? letter);

/** @param {string} text */
const inline = (text) =>
  escape(text)
    .replace(/`([^`]+)`/g, '<code>$1</code>')
    .replace(/\*\*([^*]+)\*\*/g, '<strong>$1</strong>')
    .replace(/\*([^*]+)\*/g, '<em>$1</em>')
    .replace(/\[([^\]]+)\]\(([^)]+)\)/g, '<a href="$2">$1</a>');

/**
 * @param {string} text
 * @param {string} name of the file, for errors
 * @throws {SyntaxError} for a page without a heading, and for code that is never ended
 */
export function toHtml(text, name) {
  /** @type {string[]} */
  const html = [];
  const lines = text.trimEnd().split('\n');
  if (!lines[0]?.startsWith('# ')) throw new SyntaxError(`${name}:1: a page begins with a heading`);
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] ?? '';
    if (line.startsWith('```')) {
      const end = lines.indexOf('```', i + 1);
      if (end === -1) throw new SyntaxError(`${name}:${i + 1}: this code has no end`);
      html.push(`<pre>${escape(lines.slice(i + 1, end).join('\n'))}</pre>`);
      i = end;
    } else if (line.startsWith('# ')) {
      html.push(`<h1>${inline(line.slice(2))}</h1>`);
    } else if (line.startsWith('- ')) {
      html.push(`<li>${inline(line.slice(2))}</li>`);
    } else if (line !== '') {
      html.push(`<p>${inline(line)}</p>`);
    }
  }
  return `${html.join('\n')}\n`;
}
