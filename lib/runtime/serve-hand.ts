// A worker of a crew's manager in a process that has other things to do.

import { Link } from './link.js';
import { serveTasks } from './serve-tasks.js';

/**
 * Takes tasks until the manager asks it to leave, or is gone, and ends the connection behind the tasks that run then. The
 * process goes on.
 *
 * @param socket and page: the descriptors that it has inherited, see Seat.
 */
export async function serveHand(socket: number, page: number): Promise<void> {
  const link = new Link(socket, page);
  await serveTasks(link);
  await link.end();
  link.close();
}
