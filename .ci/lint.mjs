// Everything that can be judged without running the product. All of it runs, so that one look shows all there is to mend.

import { join } from 'node:path';
import { root, step } from './step.mjs';

const bin = (name) => join(root, 'node_modules', '.bin', name);
const clippy = (...options) => ['clippy', ...options, '--', '-D', 'warnings'];

// The binding has no Rust tests: its functions exist for JavaScript, and without it nothing would call them.
const outcomes = [
  step('cargo', ['fmt', '--check']),
  step('cargo', clippy('--all-features')),
  step('cargo', clippy('--no-default-features', '--all-targets')),
  step(bin('eslint'), ['--max-warnings=0', '.'], { title: 'eslint' }),
  step(bin('tsc'), ['--project', '__test__/types'], { title: 'tsc: the type tests of index.d.ts' }),
];

if (outcomes.includes(false)) process.exitCode = 1;
