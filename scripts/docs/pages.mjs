// What the site is made of: the pages of docs/, by the groups of the navigation and in their order, and the folders of lib/.

/** @type {Record<string, readonly string[]>} */
export const PAGES = {
  'Getting started': ['getting-started', 'installation', 'comparison', 'migration'],
  Guides: [
    'tasks',
    'priorities',
    'cancelling',
    'messages',
    'closing',
    'graph',
    'workers',
    'remote',
    'crew',
    'logging',
    'kubernetes',
    'typescript',
    'bundlers',
  ],
  Reference: ['manager', 'cli', 'errors', 'protocol', 'architecture'],
  Benchmarks: ['benchmarks', 'performance', 'death'],
};

/** Where a page goes that is not listed above. */
export const OTHER_PAGES = 'Guides';

/** Of the folder in lib/ that declares it. */
export const API = {
  manager: 'API: managers',
  task: 'API: tasks',
  worker: 'API: workers and pools',
  pool: 'API: workers and pools',
  remote: 'API: workers and pools',
  graph: 'API: graphs',
  crew: 'API: doers and crews',
  wire: 'API: the wire',
  runtime: 'API: the wire',
  errors: 'API: errors',
};

/** Where an export goes whose folder is not listed above. */
export const OTHER_API = 'API: other';
