// The process of one run: a contestant, a scenario, one line of JSON. Started by run.mjs.

import { writeSync } from 'node:fs';
import { start } from './contestants.mjs';
import { Unavailable } from './unavailable.mjs';

const { module, contestant, params, extra } = JSON.parse(process.argv[2]);

function answer(line) {
  writeSync(3, JSON.stringify(line));
  // What still waits is not waited for.
  process.exit();
}

try {
  const { measure } = await import(`./scenarios/${module}.mjs`);
  answer({ values: await measure((workers) => start(contestant, workers, extra), { ...params, contestant }) });
} catch (error) {
  // An option that this build does not have is a figure that there is not yet.
  const isMissing = error instanceof Unavailable || error?.code === 'ERR_BOSUN_INVALID_ARGUMENT';
  answer(isMissing ? { unavailable: error.message.split(';')[0] } : { failed: error?.stack ?? String(error) });
}
