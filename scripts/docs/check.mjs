// `npm run docs:check`: the site that `npm run docs` has built, as a reader finds it. Every internal link leads somewhere, a browser has
// nothing to complain of, the search finds what is there; and the YAML on the pages is YAML. It takes a Chromium: in the path, or by CHROMIUM.
//
//   node scripts/docs/check.mjs [--screenshots <folder>]

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { parse as parseYaml } from 'yaml';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SITE = join(ROOT, 'site');
const { screenshots } = parseArgs({ options: { screenshots: { type: 'string' } } }).values;

const faults = [];
const pages = readdirSync(SITE, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.html'));
const texts = new Map();

function textOf(path) {
  if (!texts.has(path)) texts.set(path, readFileSync(path, 'utf8'));
  return texts.get(path);
}

const unescape = (text) => text.replaceAll('&amp;', '&');

/** What every link and picture of a page leads to. */
function checkLinks(path) {
  for (const [, attribute] of textOf(path).matchAll(/\s(?:href|src)="([^"]*)"/g)) {
    const link = unescape(attribute);
    if (/^(https?|mailto|data):/.test(link)) continue;
    const [file, hash] = link.split('#');
    const target = file === '' ? path : resolve(dirname(path), decodeURI(file.split('?')[0]));
    const from = relative(SITE, path);
    if (!existsSync(target)) faults.push(`${from}: ${link} leads nowhere`);
    else if (statSync(target).isDirectory()) faults.push(`${from}: ${link} is a folder`);
    else if (hash && !textOf(target).includes(` id="${decodeURI(hash)}"`)) {
      faults.push(`${from}: ${link} leads to no such place`);
    }
  }
}

function checkYaml() {
  for (const name of readdirSync(join(ROOT, 'docs')).filter((file) => file.endsWith('.md'))) {
    const page = readFileSync(join(ROOT, 'docs', name), 'utf8');
    for (const [, text] of page.matchAll(/^```yaml\n(.*?)^```$/gms)) parseYaml(text);
  }
}

function findChromium() {
  if (process.env.CHROMIUM !== undefined) return process.env.CHROMIUM;
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    try {
      return execFileSync('which', [name], { encoding: 'utf8' }).trim();
    } catch {
      // The next one.
    }
  }
  throw new Error('no Chromium in the path: install one, or say where it is by CHROMIUM=/path/to/chromium');
}

/** Opens pages as files, so there is no server that the site could need. */
async function checkInBrowser() {
  const browser = await chromium.launch({ executablePath: findChromium(), args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage();
    // Chromium takes no icons from another file; for that the site has a script, which puts them into the page.
    const isIcon = (text) => text.includes('/assets/icons.svg');
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type()) && !isIcon(message.text()))
        faults.push(`${page.url()}: console: ${message.text()}`);
    });
    page.on('pageerror', (error) => faults.push(`${page.url()}: ${error.message}`));
    page.on('requestfailed', (request) => {
      if (!isIcon(request.url())) faults.push(`${page.url()}: ${request.url()} was not loaded`);
    });
    page.on('request', (request) => {
      if (!/^(file|data|blob):/.test(request.url())) faults.push(`${page.url()} wants ${request.url()}`);
    });
    const opened = pages.filter((name) => /^(index|docs.*|classes.(ProcessManager|Task))\.html$/.test(name));
    for (const name of opened) await page.goto(pathToFileURL(join(SITE, name)).href, { waitUntil: 'load' });

    if (screenshots !== undefined) mkdirSync(screenshots, { recursive: true });
    for (const [words, wanted] of [
      ['deadline', /DeadlineError/],
      ['deadline', /Limits, retries, cancelling/],
      ['terminationGracePeriodSeconds', /Kubernetes/],
    ]) {
      // Each time anew: a list that is open has the results for the words before.
      await page.goto(pathToFileURL(join(SITE, 'index.html')).href);
      await page.keyboard.press('/');
      const input = page.locator('#tsd-search-input');
      await input.fill(words);
      const results = page.locator('#tsd-search-results li');
      await results.first().waitFor();
      if (screenshots !== undefined) await page.screenshot({ path: join(screenshots, `search-${words}.png`) });
      const found = await results.allInnerTexts();
      if (!found.some((text) => wanted.test(text))) faults.push(`the search for ${words} finds ${found.join(' | ')}`);
      await results.first().locator('a').click();
      await page.waitForLoadState();
      if (page.url().endsWith('/index.html')) faults.push(`a result of the search for ${words} leads nowhere`);
    }
    if (screenshots !== undefined) await takeScreenshots(browser, screenshots);
    return opened.length;
  } finally {
    await browser.close();
  }
}

const SHOTS = ['index', 'docs/getting-started', 'docs/errors', 'docs/benchmarks', 'classes/ProcessManager'];

async function takeScreenshots(browser, folder) {
  for (const colorScheme of ['light', 'dark']) {
    for (const width of [1280, 400]) {
      const page = await browser.newPage({ colorScheme, viewport: { width, height: 900 } });
      for (const name of SHOTS) {
        await page.goto(pathToFileURL(join(SITE, `${name}.html`)).href, { waitUntil: 'load' });
        await page.locator('.tsd-navigation').first().waitFor({ state: 'attached' });
        await page.screenshot({ path: join(folder, `${name.replace('/', '-')}-${colorScheme}-${width}.png`) });
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        if (wide > 0) faults.push(`${name}.html is ${wide} pixels too wide for ${width}`);
      }
      await page.close();
    }
  }
}

if (pages.length === 0) throw new Error('there is no site: npm run docs');
for (const name of pages) checkLinks(join(SITE, name));
checkYaml();
const opened = await checkInBrowser();
for (const fault of new Set(faults)) console.error(fault);
console.log(`${pages.length} pages, ${opened} of them opened in a browser: ${new Set(faults).size} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;
