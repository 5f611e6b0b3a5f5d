// Preloaded by coverage.mjs: a worker that is killed says nothing at its end, so it says now and then what it has run.

import { takeCoverage } from 'node:v8';

const PERIOD_MS = 250;

if (process.argv[1]?.endsWith('runtime/main.js')) setInterval(takeCoverage, PERIOD_MS).unref();
