// `npm run docs`: a static site in site/, of docs/*.md and of the types with their comments. It needs no server.

import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Application, Comment, CommentTag, Converter, KindRouter, ReflectionKind, Renderer } from 'typedoc';
import { API, OTHER_API, OTHER_PAGES, PAGES } from './pages.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const HERE = fileURLToPath(new URL('.', import.meta.url));

/** Those that are not in docs/. */
const PROJECT = ['examples/README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'];

const listed = Object.values(PAGES).flat();
const there = readdirSync(join(ROOT, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => basename(name, '.md'));
const missing = listed.filter((name) => !there.includes(name));
if (missing.length > 0) throw new Error(`scripts/docs/pages.mjs has pages that docs/ has not: ${missing.join(', ')}`);
// A page that is new is on the site, whether or not anybody has thought of the list.
const names = [...listed, ...there.filter((name) => !listed.includes(name))];
const groupOf = (name) => Object.keys(PAGES).find((group) => PAGES[group].includes(name)) ?? OTHER_PAGES;
const PATHS = [...names.map((name) => `docs/${name}.md`), ...PROJECT].map((path) => join(ROOT, path));

/** Documents are called by their files, so that a link stays when a heading changes. */
const fileOf = new Map();

class PageRouter extends KindRouter {
  getIdealBaseName(reflection) {
    const name = fileOf.get(reflection);
    return name === undefined ? super.getIdealBaseName(reflection) : `docs/${name.toLowerCase()}`;
  }
}

// What a build leaves that has failed is no site.
rmSync(join(ROOT, 'site'), { recursive: true, force: true });
const app = await Application.bootstrap({
  entryPoints: [join(ROOT, 'lib/index.ts')],
  tsconfig: join(HERE, 'tsconfig.json'),
  skipErrorChecking: true, // tsc has done that
  projectDocuments: PATHS,
  readme: join(ROOT, 'README.md'),
  out: join(ROOT, 'site'),
  name: 'bosun',
  includeVersion: true,
  searchInDocuments: true,
  searchInComments: true,
  // Who searches for a word has a page about it among the first, beside all members that are called so.
  searchGroupBoosts: Object.fromEntries(Object.keys(PAGES).map((group) => [group, 4])),
  navigation: { includeGroups: true, includeCategories: false },
  categorizeByGroup: false,
  groupOrder: [...Object.keys(PAGES), ...new Set(Object.values(API)), OTHER_API, 'Project', '*'],
  sort: ['kind', 'alphabetical'],
  kindSortOrder: ['Document', 'Class', 'Function', 'Variable', 'Interface', 'TypeAlias'],
  customCss: join(HERE, 'site.css'),
  highlightLanguages: ['typescript', 'javascript', 'json', 'shellscript', 'python', 'yaml', 'console', 'text'],
  ignoredHighlightLanguages: ['payloads', 'session'],
  excludeInternal: true,
  excludePrivate: true,
  excludeExternals: true,
  disableSources: true,
  hideGenerator: true,
  githubPages: false,
  validation: { notExported: false, invalidLink: true, notDocumented: false, invalidPath: true },
  treatWarningsAsErrors: false,
});

app.renderer.defineRouter('pages', PageRouter);
app.options.setValue('router', 'pages');

/** From the first heading, which the site shows as the title. */
app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_context, document) => {
  const path = app.files.getReflectionPath(document) ?? '';
  const heading = /^# (.*)\n/.exec(readFileSync(path, 'utf8'));
  if (heading === null) throw new Error(`${path} begins with no heading`);
  const name = relative(ROOT, path).replaceAll('\\', '/');
  document.name = heading[1].replaceAll('`', '');
  document.frontmatter.group = PROJECT.includes(name) ? 'Project' : groupOf(basename(name, '.md'));
  fileOf.set(document, name === 'examples/README.md' ? 'examples' : basename(name, '.md'));
});

/** There is one module, so nobody needs to know; an export goes to the part of the API that its folder is. */
app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
  for (const module of project.getReflectionsByKind(ReflectionKind.Module)) project.mergeReflections(module, project);
  for (const reflection of project.children ?? []) {
    // Another name of something is where that is.
    const original = reflection.isReference() ? reflection.getTargetReflection() : reflection;
    const file = project.getSymbolIdFromReflection(original)?.fileName ?? '';
    const [folder] = relative(join(ROOT, 'lib'), file).split(/[/.]/);
    const group = API[folder] ?? OTHER_API;
    reflection.comment ??= new Comment();
    reflection.comment.blockTags.push(new CommentTag('@group', [{ kind: 'text', text: group }]));
  }
});

/** In the order of the list, not of the alphabet. */
app.converter.on(
  Converter.EVENT_RESOLVE_END,
  ({ project }) => {
    const place = (reflection) => names.indexOf(fileOf.get(reflection));
    for (const { children } of project.groups ?? []) children.sort((a, b) => place(a) - place(b));
  },
  -1_000,
);

/** A link to the first page names the file, since files are all that the site needs. */
app.renderer.on(Renderer.EVENT_END_PAGE, (page) => {
  page.contents = page.contents?.replaceAll('href="../"', 'href="../index.html"');
});

const project = await app.convert();
if (project === undefined || app.logger.hasErrors()) process.exit(1);
await app.generateOutputs(project);
if (app.logger.hasErrors()) process.exit(1);
console.log(`${relative(process.cwd(), join(ROOT, 'site'))}/index.html`);
