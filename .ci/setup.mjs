// Brings a clone up to date, so that `npm run …` works right after `git clone` and after every pull:
//   node .ci/setup.mjs [--no-addon] [folder with a package.json of its own …]
// installs the development dependencies (the folders' too), then builds the addon. Needs no dependency itself.

import { buildAddon } from './addon.mjs';
import { installDependencies } from './dependencies.mjs';

const args = process.argv.slice(2);
const folders = ['.', ...args.filter((arg) => !arg.startsWith('--'))];

const ready = folders.every(installDependencies) && (args.includes('--no-addon') || buildAddon());
if (!ready) process.exitCode = 1;
