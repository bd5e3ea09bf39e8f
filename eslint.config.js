'use strict';

const js = require('@eslint/js');
const globals = require('globals');

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
    files: ['**/*.js', '**/*.cjs'],
    languageOptions: { sourceType: 'commonjs', globals: globals.node },
    rules: { strict: ['error', 'global'] },
  },
];
