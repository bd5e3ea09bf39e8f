'use strict';

// An error that a call ends with has a stack that leads to those who wait for it.

const assert = require('node:assert');
const test = require('node:test');
const { LIMIT, openBus } = require('./support/bus');

const ways = {
  async awaited(ask) {
    await ask();
  },
  async returned(ask) {
    const passOn = async () => ask();
    await passOn();
  },
  async withOthers(ask) {
    await Promise.all([ask(), ask()]);
  },
  async later(ask) {
    const asked = ask();
    await null;
    await asked;
  },
};

for (const [name, wait] of Object.entries(ways)) {
  test(`the stack of a failed call leads to its caller: ${name}`, LIMIT, async (t) => {
    const bus = await openBus(t);
    const node = await bus.node('ada');
    node.on('silence', () => {});
    const failures = {
      ERR_UNKNOWN_NODE: () => node.request('nobody:hello'),
      ERR_NO_LISTENER: () => node.request('ada:nothing'),
      ERR_NO_METHOD: () => node.call('nothing'),
      ERR_TIMEOUT: () => node.with({ timeout: 20 }).request('ada:silence'),
      ABORT_ERR: () => node.with({ signal: AbortSignal.timeout(20) }).request('ada:silence'),
    };
    for (const [code, ask] of Object.entries(failures)) {
      async function whoAsked() {
        await wait(ask);
      }
      const error = await whoAsked().catch((caught) => caught);
      assert.strictEqual(error.code, code);
      assert.ok(error.stack.startsWith(`${error.name}: ${error.message}\n`), error.stack);
      assert.match(error.stack, new RegExp(`at async.*${name}`), code);
      assert.match(error.stack, /at async whoAsked/, code);
    }
  });
}
