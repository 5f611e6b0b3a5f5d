import { TASKS } from '../tasks.mjs';

process.on('message', ({ id, name, input }) => process.send({ id, result: TASKS[name](input) }));
