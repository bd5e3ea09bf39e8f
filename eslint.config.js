'use strict';

const js = require('@eslint/js');
const globals = require('globals');

const TAKE_FROM_TIME = 'Take it from lib/time.js, which keeps what tests replace.';

module.exports = [
  { ignores: ['target/', '**/node_modules/'] },
  js.configs.recommended,
  {
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    languageOptions: { ecmaVersion: 2024, globals: globals.nodeBuiltin },
    rules: {
      // Loose equality is for null alone, where it means "null or undefined".
      'eqeqeq': ['error', 'always', { null: 'ignore' }],
      'no-var': 'error',
      'prefer-const': 'error',
      'object-shorthand': 'error',
      // Arguments may go unused: a callback's shape is its caller's.
      'no-unused-vars': ['error', { args: 'none', ignoreRestSiblings: true, varsIgnorePattern: '^_' }],
      'no-unused-expressions': 'error',
      'no-throw-literal': 'error',
      'no-shadow': ['error', { allow: ['_'] }],
      'no-else-return': 'error',
      'no-implicit-globals': 'error',
      'no-self-compare': 'error',
      'no-template-curly-in-string': 'error',
      'no-constructor-return': 'error',
      'array-callback-return': 'error',
      'default-case-last': 'error',
      'prefer-promise-reject-errors': 'error',
    },
  },
  {
    // Test tools put fakes in their places for a while; the bus goes on in real time.
    files: ['lib/**/*.js', 'index.js', 'native.cjs'],
    ignores: ['lib/time.js'],
    rules: {
      'no-restricted-globals': ['error', ...[
        'clearImmediate', 'clearInterval', 'clearTimeout', 'performance', 'queueMicrotask', 'setImmediate', 'setInterval',
        'setTimeout',
      ].map((name) => ({ name, message: TAKE_FROM_TIME }))],
      'no-restricted-properties': ['error', ...[
        ['Date', 'now'], ['Math', 'random'], ['process', 'hrtime'], ['process', 'nextTick'], ['globalThis', 'setTimeout'],
      ].map(([object, property]) => ({ object, property, message: TAKE_FROM_TIME }))],
      'no-restricted-syntax': ['error', ...[
        'CallExpression[callee.name="require"][arguments.0.value=/^(node:)?(timers|perf_hooks)/]',
        'VariableDeclarator[init.name=/^(Date|process|globalThis|Math|performance)$/] > ObjectPattern > '
          + 'Property[key.name=/^(now|random|nextTick|hrtime|queueMicrotask|set(Timeout|Interval|Immediate))$/]',
        'NewExpression[callee.name="Date"][arguments.length=0]',
        'CallExpression[callee.name="Date"]',
      ].map((selector) => ({ selector, message: TAKE_FROM_TIME }))],
    },
  },
  {
    files: ['**/*.js', '**/*.cjs'],
    languageOptions: { sourceType: 'commonjs', globals: globals.node },
    rules: { strict: ['error', 'global'] },
  },
  {
    files: ['__test__/projects/jest/**/*.test.js'],
    languageOptions: { globals: globals.jest },
    rules: { strict: 'off' },
  },
  {
    files: ['__test__/projects/vitest/**/*.js'],
    languageOptions: { sourceType: 'module' },
    rules: { strict: 'off' },
  },
];
