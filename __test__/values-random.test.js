'use strict';

// Values made up from seeds arrive as they were sent: within an engine and from each to every other.
// One of them: BUSYBODY_SEED=7. More of them: BUSYBODY_SEEDS=100000.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const path = require('node:path');
const test = require('node:test');
const { promisify } = require('node:util');
const { FORMATS } = require('../lib/values.js');
const { Bus, LIMIT } = require('./support/bus');
const { cloneTravel, strictTravel, travel } = require('./support/journey');
const { Maker, fingerprint } = require('./support/random-values');

const [first, count] = process.env.BUSYBODY_SEED !== undefined ? [Number(process.env.BUSYBODY_SEED), 1] : [0, Number(process.env.BUSYBODY_SEEDS ?? 2000)];

function forEachSeed(act) {
  for (let seed = first; seed < first + count; seed++) act(seed, `BUSYBODY_SEED=${seed}`);
}

test('values of every kind', LIMIT, () => {
  for (const travelled of [travel, cloneTravel]) {
    forEachSeed((seed, name) => {
      const sent = new Maker(seed).arguments();
      assert.equal(fingerprint(travelled(sent)), fingerprint(sent), name);
    });
  }
});

test('what JSON carries arrives alike with every setting', LIMIT, () => {
  forEachSeed((seed, name) => {
    const sent = new Maker(seed, { plain: true }).arguments();
    for (const travelled of [travel, strictTravel, cloneTravel]) assert.deepEqual(travelled(sent), sent, name);
    assert.deepEqual(strictTravel(sent), JSON.parse(JSON.stringify(sent)), name);
    for (const { write } of Object.values(FORMATS)) assert.equal(write(sent), JSON.stringify(sent), name);
  });
});

test('strict JSON beside bytes is what JSON makes of it', LIMIT, () => {
  forEachSeed((seed, name) => {
    const sent = new Maker(seed, { plain: true }).arguments();
    assert.deepEqual(strictTravel([Buffer.from('b'), ...sent]), [Buffer.from('b'), ...JSON.parse(JSON.stringify(sent))], name);
  });
});

const runtimes = { node: [], deno: ['run', '--allow-all', '--quiet'], bun: [] };

for (const [name, args] of Object.entries(runtimes)) {
  test(`values of every kind through a bus, from here to ${name} and back`, { timeout: 60_000 }, async (t) => {
    const binary = await find(name);
    if (!binary) return t.skip(`${name} is not to be had here`);
    const bus = new Bus(t);
    await bus.host();
    const ann = await bus.node('ann');
    const ready = new Promise((resolve) => ann.handle('ready', resolve));
    const mirror = path.join(__dirname, 'fixtures', 'mirror.js');
    const exited = promisify(execFile)(binary, [...args, mirror, bus.bridge.url]);
    exited.catch(() => {});
    await Promise.race([ready, exited.then(() => assert.fail('it ended'))]);
    for (let seed = 0; seed < 200; seed++) {
      const sent = new Maker(seed).arguments();
      const { seen, back } = await ann.request('mirror:mirror', sent);
      assert.equal(seen, fingerprint(sent), `there, seed ${seed}`);
      assert.equal(fingerprint(back), fingerprint(sent), `back, seed ${seed}`);
      // made over there
      assert.equal(fingerprint(await ann.request('mirror:make', seed)), fingerprint(new Maker(seed).arguments()), `from there, seed ${seed}`);
    }
    await assert.rejects(ann.request('mirror:fail'), (error) => {
      assert.deepEqual([error instanceof RangeError, error.message, error.code, error.list], [true, 'far', 'E_FAR', [1n]]);
      return true;
    });
    ann.publish('mirror:end');
    await exited;
  });
}

async function find(name) {
  if (name === 'node') return process.execPath;
  const { runtimePath } = await import('../.ci/runtimes.mjs');
  return runtimePath(name);
}
