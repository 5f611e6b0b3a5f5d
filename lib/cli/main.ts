#!/usr/bin/env node
// The `bosun` command.

import { bosun } from './program.js';

// A module that was imported may have left a server or a timer behind, which must not keep a finished command up.
process.exit(await bosun(process.argv.slice(2)));
