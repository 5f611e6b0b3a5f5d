// The command line: what there is, and what it says of itself.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { PACKAGE_ROOT } from '../package-root.js';
import { SERVER_PORT } from '../wire/address.js';
import type { CrewOptions } from './crew.js';
import { EXIT, type ExitCode, UsageError } from './exit-code.js';
import { complain } from './failure-text.js';
import type { GraphOptions } from './graph.js';
import type { CommonOptions } from './job.js';
import type { MakeOptions } from './make.js';
import type { MapOptions } from './map.js';
import type { RunOptions } from './run.js';
import type { ServeOptions } from './serve.js';
import type { WorkOptions } from './work.js';

const MANIFEST = join(PACKAGE_ROOT, 'package.json');

const ABOUT = `
Examples:
  $ bosun run ./crawl.mjs ~/src > results.jsonl     a module that schedules tasks
  $ ls | bosun map node:path#extname                a function, applied to every line
  $ bosun make ./build.mjs --report build.html      tasks that require each other
  $ bosun work --connect boss:7000 --token-file t   workers for a manager elsewhere
  $ bosun help map                                  all about one command

Exit codes: 0 all is well, 1 a task failed, 2 the command line is wrong, 130 Ctrl-C, 143 SIGTERM.
The first Ctrl-C asks running tasks to stop, the second kills them.`;

const ABOUT_RUN = `
The default export is called here, as fn(manager, ...args), and schedules tasks. What they send with sendMessage() is
printed on standard output, one line of JSON each; failures, progress and the summary go to standard error.
Arguments that begin with a dash come behind --.

Examples:
  $ bosun run ./crawl.mjs ~/src > results.jsonl
  $ bosun run --workers 8 --priority-levels 3 ./index.mjs -- --depth 3
  $ bosun run --json ./nightly.mjs 2> summary.json | gzip > messages.gz`;

const ABOUT_MAP = `
Each input, or each line of standard input when there are none, becomes one call fn(input) in some worker. Results are
printed in the order of the inputs, one line of JSON each, in constant memory however long the input is.

Examples:
  $ ls | bosun map node:path#extname
  $ find . -name '*.png' | bosun map ./resize.mjs#thumbnail --workers 4 --keep-going
  $ bosun map --json ./fetch.mjs https://nodejs.org https://www.debian.org
  $ bosun map ./parse.mjs *.log | bosun map --from-json --unordered ./store.mjs`;

const ABOUT_MAKE = `
The module exports tasks: one, a list or a record of them, or a function that returns them; its default export unless one is
named. What they require is made first, as many at a time as there are processes; tasks that cannot travel run in this one. A
target is a key of the record, or the name of any task. The values of targets are printed on standard output, one line of
JSON each; states, failures and the summary go to standard error.

Examples:
  $ bosun make ./build.mjs
  $ bosun make ./build.mjs bundle --workers 4 --report build.html
  $ bosun make ./nightly.mjs --journal nightly.journal     run it again after a crash: it goes on`;

const ABOUT_GRAPH = `
The module exports tasks as for 'bosun make'. Nothing is run. No other program is needed. A file called - is standard output.

Examples:
  $ bosun graph ./build.mjs
  $ bosun graph ./build.mjs --svg build.svg --watch
  $ bosun graph ./build.mjs bundle --html build.html`;

const ABOUT_CREW = `
The module exports a list of loads, the options of a Boss, a Boss, or a function that returns one of them; its default export
unless one is named. Hands that end badly are started again. The first Ctrl-C or SIGTERM ends them, the last one first, the
second at once.

Examples:
  $ bosun crew ./service.mjs
  $ bosun crew ./service.mjs --log-directory logs --heartbeat 30`;

const ABOUT_SERVE = `
Whoever has the token runs what --allow allows as this user. The token is never an argument: it is in a file.

Examples:
  $ bosun serve --allow ./jobs
  $ bosun serve --addr 0.0.0.0 --allow ./jobs --token-file token --tls-key key.pem --tls-cert cert.pem`;

const ABOUT_WORK = `
The manager listens, see the option 'listen' of ProcessManager. Its modules are looked for in --root by their path from the
manager's own root, its current directory as a rule. A lost connection is dialled again. The first Ctrl-C or SIGTERM lets
the workers finish what they run, the second ends them.

Examples:
  $ bosun work --connect 127.0.0.1:7000 --token-file token
  $ bosun work --connect boss.example:7000 --token-file token --tls-ca ca.pem --workers 4 --root /srv/jobs`;

/** Does what the command line says; resolves with the exit code, never rejects. */
export async function bosun(argv: readonly string[]): Promise<ExitCode> {
  let code: ExitCode = EXIT.OK;
  const program = describe((result) => {
    code = result;
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return code;
  } catch (error) {
    // Commander has printed its own already, help and version too.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.OK : EXIT.USAGE;
    complain(error);
    return error instanceof UsageError ? EXIT.USAGE : EXIT.FAILED;
  }
}

function describe(ended: (code: ExitCode) => void): Command {
  const { version, description } = JSON.parse(readFileSync(MANIFEST, 'utf8')) as Record<string, string>;
  const program = new Command('bosun')
    .description(description ?? '')
    .version(version ?? '', '-V, --version')
    .helpOption('-h, --help', 'say what there is')
    .addHelpText('after', ABOUT)
    .exitOverride()
    .configureOutput({
      outputError: (text, write) =>
        write(text.replace(/^error: (unknown option .*)/, `$1${DASH_HINT}`).replace(/^(error: )?/, 'bosun: ')),
    });
  // The commands are loaded when they are called: help needs no native binary.
  const run = program
    .command('run')
    .summary('call a module that schedules tasks, and print their messages')
    .description("Calls a module's default export with a manager, and prints what its tasks send.")
    .argument('<module>', 'a path, a URL or a package')
    .argument('[args...]', 'passed to the function, as strings')
    .option('-p, --priority-levels <n>', 'levels of urgency, 0 the most urgent (default: 2)', wholeNumber)
    .addHelpText('after', ABOUT_RUN)
    .action(async (module: string, args: string[], options: RunOptions) => {
      ended(await (await import('./run.js')).run(module, args, options));
    });
  const map = program
    .command('map')
    .summary('apply an exported function to every argument or line, in parallel')
    .description('Applies an exported function to every input, in parallel.')
    .argument('<module[#export]>', 'a path, a URL or a package; its default export unless named')
    .argument('[inputs...]', 'one call each; the lines of standard input unless given')
    .option('-k, --keep-going', 'go on when an input fails, and exit with 1 at the end')
    .option('-u, --unordered', 'print results as they come')
    .option('--from-json', 'each input is JSON, not a plain string')
    .option(
      '--window <n>',
      'inputs under way at a time, unprinted results included (default: 128 per worker)',
      wholeNumber,
    )
    .addHelpText('after', ABOUT_MAP)
    .action(async (target: string, inputs: string[], options: MapOptions) => {
      ended(await (await import('./map.js')).map(target, inputs, options));
    });
  const make = program
    .command('make')
    .summary('run tasks that require each other')
    .description('Makes tasks that a module exports, and before them all that they require.')
    .argument('<module>', 'a path, a URL or a package')
    .argument('[targets...]', 'which tasks (default: all that are exported)')
    .option('-e, --export <name>', 'the export that has the tasks (default: default, else all that are tasks)')
    .option('-j, --jobs <n>', 'tasks at a time, wherever they run (default: no limit)', wholeNumber)
    .option('-f, --fail-fast', 'stop at the first task that fails')
    .option('--critical-path', 'begin with what the longest chain waits for, by the times that the journal has')
    .option('--journal <file>', 'what is done is kept there, and not done again')
    .option('--report <file>', 'a report as HTML at the end')
    .addHelpText('after', ABOUT_MAKE)
    .action(async (module: string, targets: string[], options: MakeOptions) => {
      ended(await (await import('./make.js')).make(module, targets, options));
    });
  program
    .command('graph')
    .summary('draw tasks that require each other')
    .description('Draws tasks that a module exports, and all that they require.')
    .argument('<module>', 'a path, a URL or a package')
    .argument('[targets...]', 'which tasks (default: all that are exported)')
    .option('-e, --export <name>', 'the export that has the tasks (default: default, else all that are tasks)')
    .option('--dot', 'in the DOT language, on standard output; the default')
    .option('--svg <file>', 'as SVG')
    .option('--html <file>', 'as a report')
    .option('--watch', 'again whenever one of the files changes that the module is made of')
    .helpOption('-h, --help', 'say what it does')
    .addHelpText('after', ABOUT_GRAPH)
    .action(async (module: string, targets: string[], options: GraphOptions) => {
      ended(await (await import('./graph.js')).graph(module, targets, options));
    });
  program
    .command('crew')
    .summary('keep named processes alive that know each other')
    .description('Starts the hands of a crew, and keeps them alive, until all are over or a signal comes.')
    .argument('<module>', 'a path, a URL or a package')
    .option('-e, --export <name>', 'the export that has the crew', 'default')
    .option('--log-directory <path>', 'one log file per hand there, <name>.log')
    .option(
      '--heartbeat <s>',
      'a hand whose event loop is busy for so long is started again (default: never)',
      wholeNumber,
    )
    .option('--no-progress', 'lines instead of a table; there is none either when standard error is no terminal')
    .helpOption('-h, --help', 'say what it does')
    .addHelpText('after', ABOUT_CREW)
    .action(async (module: string, options: CrewOptions) => {
      ended(await (await import('./crew.js')).crew(module, options));
    });
  program
    .command('serve')
    .summary('run workers for programs on other hosts')
    .description('Runs functions for RemoteWorkers, each in a process of its own, until a signal comes.')
    .option('-a, --addr <host>', 'where to listen (default: 127.0.0.1; others take --tls-* and --allow)')
    .option('-p, --port <n>', 'the port, 0 for a free one', wholeNumber, SERVER_PORT)
    .option('--allow <paths...>', 'folders and files that modules are loaded from (default: any, on loopback)')
    .option('--root <folder>', 'what relative paths of clients are relative to (default: the current folder)')
    .option('--token-file <path>', 'what clients must know (default: a new one, which clients of this user find)')
    .option('--tls-key <path>', 'the key, in PEM')
    .option('--tls-cert <path>', 'the certificate, in PEM')
    .option('--tls-ca <path>', 'whoever has no certificate of this authority is sent away')
    .option('--max-workers <n>', 'processes at a time (default: 64)', wholeNumber)
    .option('-v, --verbose', 'say which clients have workers, and how those end')
    .option('--close-on-none', 'clients with the token may end the server')
    .option('--suppress-children', 'what workers print goes nowhere')
    .option('--tunnel <socket>', 'for sshServer: listen there, the token is a line of standard input, end with it')
    .helpOption('-h, --help', 'say what it does')
    .addHelpText('after', ABOUT_SERVE)
    .action(async (options: ServeOptions) => {
      ended(await (await import('./serve.js')).serve(options));
    });
  program
    .command('work')
    .summary('run workers for a manager on another host')
    .description('Dials a manager and runs its tasks, each worker in a process of its own, until a signal comes.')
    .requiredOption('--connect <host:port>', 'where the manager listens; or the path of its socket')
    .requiredOption('--token-file <path>', "what the manager wants to hear first, as its 'token'")
    .option('-w, --workers <n>', 'how many', wholeNumber, 1)
    .option('--root <path>', 'the folder that has what the manager has in its own', '.')
    .option('--allow <paths...>', 'what is loaded (default: any on loopback, --root elsewhere)')
    .option('--tls', 'always on, but on loopback')
    .option('--tls-ca <path>', 'who has signed the certificate, in PEM (default: those that Node.js knows)')
    .option('--tls-name <name>', 'whose certificate it is (default: the host)')
    .option('--grace <ms>', 'how long a process may be stopped by a signal', wholeNumber, 5_000)
    .helpOption('-h, --help', 'say what it does')
    .addHelpText('after', ABOUT_WORK)
    .action(async (options: WorkOptions) => {
      ended(await (await import('./work.js')).work(options));
    });
  for (const command of [run, map, make]) withCommonOptions(command);
  return program;
}

const DASH_HINT = ' (arguments that begin with a dash come behind --)';

/** The options that a {@link CommonOptions} has. */
function withCommonOptions(command: Command): void {
  command
    .option('-w, --workers <n>', 'the most processes at a time (default: twice the cores)', wholeNumber)
    .option('-c, --concurrency <n>', 'tasks that a process runs at once (default: 1)', wholeNumber)
    .option('-t, --timeout <ms>', 'how long a task may take (default: no limit)', wholeNumber)
    .option('-r, --retries <n>', 'how often a failed task is run again, a while later (default: 0)', wholeNumber)
    .option('--setup <module[#export]>', 'called in each worker before its first task; extends ctx.session')
    .option('--log-directory <path>', 'one log file per worker there, worker-<n>.log')
    .option('--json', 'for programs: failures and the summary as JSON on standard error, no progress')
    .option('--no-progress', 'no progress line; there is none either when standard error is no terminal')
    .option('-q, --quiet', 'neither progress nor summary; failures only')
    .helpOption('-h, --help', 'say what it does');
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('A whole number is needed.');
  return Number(text);
}
