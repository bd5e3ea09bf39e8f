'use strict';

// "chat:hello" can be an event of node chat, an event for everybody and a method of the bridge: whoever says one of them
// means that one, whatever was said under the same name before.

const test = require('node:test');
const assert = require('node:assert/strict');
const { Bus, LIMIT, announced, barrier, openBus } = require('./support/bus');
const { answer } = require('./support/watch');

const NAME = 'chat:hello';

/** What a node can say under this name; each resolves with who heard it, and as what. */
const SAYINGS = {
  publish: (ann) => answer((reply) => ann.publish(NAME, reply)),
  request: async (ann) => [null, await ann.request(NAME)],
  rpc: (ann) => answer((reply) => ann.rpc(NAME, reply)),
  call: async (ann) => [null, await ann.call(NAME)],
  broadcast: async (ann, heard) => {
    ann.broadcast(NAME);
    await barrier(ann, 'chat');
    await barrier(ann, 'cora');
    return [null, heard.splice(0).sort().join(' ')];
  },
};
const HEARD = {
  publish: 'chat heard hello',
  request: 'chat heard hello',
  rpc: `the bridge was called ${NAME}`,
  call: `the bridge was called ${NAME}`,
  broadcast: `chat heard ${NAME} cora heard ${NAME}`,
};

/** A bus on which everything of this name is answered by who heard it. */
async function busOf(t) {
  const bus = await openBus(t);
  bus.bridge.handle(NAME, () => `the bridge was called ${NAME}`);
  const [ann, chat, cora] = await bus.nodes('ann', 'chat', 'cora');
  const heard = [];
  for (const node of [chat, cora]) {
    node.handle('hello', () => `${node.id} heard hello`);
    node.on(NAME, () => heard.push(`${node.id} heard ${NAME}`));
  }
  await announced(chat, cora);
  return { bus, ann, heard };
}

for (const first of Object.keys(SAYINGS)) {
  for (const second of Object.keys(SAYINGS)) {
    if (first === second) continue;
    test(`${first}, then ${second} of the same name: each reaches whom it means`, LIMIT, async (t) => {
      const { bus, ann, heard } = await busOf(t);
      for (const said of [first, second, first]) {
        assert.deepEqual(await SAYINGS[said](ann, heard), [null, HEARD[said]], said);
      }
      assert.equal(bus.bridge.stats().rejected, 0);
    });
  }
}

for (const early of ['broadcast', 'call']) {
  test(`a ${early} named like the node that is answered does not take the answer's way`, LIMIT, async (t) => {
    const bus = await openBus(t);
    const [ann, ben] = await bus.nodes('ann', 'ben');
    ben.handle('ask', () => 'answer');
    if (early === 'broadcast') ben.broadcast('ann:');
    else await assert.rejects(ben.call('ann:'), { code: 'ERR_NO_METHOD' });
    assert.equal(await ann.request('ben:ask'), 'answer');
    assert.equal(bus.bridge.stats().rejected, 0);
  });
}

test('a method may have a reserved name, an event may not, whichever is asked for first', LIMIT, async (t) => {
  const bus = new Bus(t);
  await bus.host();
  const ann = await bus.node('ann');
  bus.bridge.handle('close', () => 'a method').handle('drain', () => 'another');
  assert.equal(await ann.call('close'), 'a method');
  assert.throws(() => ann.broadcast('close'), { code: 'ERR_RESERVED_EVENT' });
  assert.throws(() => ann.broadcast('drain'), { code: 'ERR_RESERVED_EVENT' });
  assert.equal(await ann.call('drain'), 'another');
});

test('names of all kinds are forgotten together when there are too many of one', LIMIT, async (t) => {
  const { ann, heard } = await busOf(t);
  for (let n = 0; n < 3; n += 1) {
    for (const said of Object.keys(SAYINGS)) {
      assert.deepEqual(await SAYINGS[said](ann, heard), [null, HEARD[said]], said);
    }
    for (let made = 0; made < 5000; made += 1) ann.broadcast(`made up ${n} ${made}`);
    await barrier(ann, 'chat');
  }
});
