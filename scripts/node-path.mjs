/** Prepares the clone and prints the path of the Node to run it with, alone, on stdout: for `parlance` and `parlance.cmd`. */
import { prepare } from './prepare.mjs';

process.stdout.write(await prepare({ dev: false }));
