'use strict';

// Many processes start at the same moment and all want the same address. 1 000 rounds: npm run race -- --rounds 1000

const test = require('node:test');
const assert = require('node:assert/strict');
const { race, scenarios } = require('./stress/race');

const ROUNDS = 50;
const PROCESSES = 64;

test('64 processes at one barrier: always exactly one bridge, nobody robbed, no file left behind', async (t) => {
  const seed = Date.now() % 2 ** 32;
  t.diagnostic(`seed ${seed}`);
  const passed = await race({ rounds: ROUNDS, processes: PROCESSES, seed });
  for (const scenario of Object.keys(scenarios)) assert.ok(passed[scenario] > 0, scenario);
});
