'use strict';

// Processes that share a socket, but not their numbers: containers. What is a number here is nobody there, or a bystander.

const test = require('node:test');
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { Bus, LIMIT } = require('./support/bus');
const { start } = require('./support/child');

const APART = ['--pid', '--fork', '--kill-child', '--mount-proc'];
const possible = spawnSync('unshare', [...APART, 'true']).status === 0;
const ROOT = { ...LIMIT, skip: !possible && 'no pid namespaces can be made here' };

/** A node in a pid namespace of its own, in which it is process 1. */
async function startApart(t, options) {
  const child = start(t, 'stranger-node.js', options, {}, { execPath: 'unshare', execArgv: [...APART, process.execPath] });
  child.hosting = (await child.next('ready')).hosting;
  return child;
}

for (const host of ['the bridge is apart', 'the bridge is here']) {
  test(`${host}: nobody is told a number that means somebody else`, ROOT, async (t) => {
    const bus = new Bus(t);
    if (host === 'the bridge is here') await bus.host();
    const options = { path: bus.path, bridge: 'auto' };
    const alpha = await startApart(t, { ...options, id: 'alpha' });
    const beta = await startApart(t, { ...options, id: 'beta' });
    assert.deepEqual([alpha.hosting, beta.hosting], [host === 'the bridge is apart', false]);
    const joined = alpha.next('join');
    const here = await bus.node('here');
    assert.deepEqual(await Promise.all(['alpha', 'beta'].map((id) => here.request(`${id}:pid`))), [1, 1]);

    const nameless = ['alpha=undefined', 'beta=undefined', 'here=undefined'];
    assert.deepEqual(await here.request('beta:nodes'), nameless);
    const seen = (await here.nodes()).map(({ id, pid }) => [id, pid]);
    const own = seen.find(([id]) => id === 'here')[1];
    if (host === 'the bridge is here') assert.equal(own, process.pid, 'the kernel translates what it can');
    else assert.deepEqual(seen.map(([id, pid]) => `${id}=${pid}`).sort(), nameless);
    let news = await joined;
    while (news.id !== 'here') news = await alpha.next('join');
    if (host === 'the bridge is here') assert.equal(news.pid, null);

    for (const words of ["EADDRINUSE: a bridge already listens at", "duplicate-node: the id 'alpha' is taken"]) {
      const said = await (words.startsWith('EADDRINUSE') ? here.request('beta:host') : here.request('beta:join', 'alpha'));
      assert.ok(said.startsWith(words), said);
      assert.doesNotMatch(said, /\bpid\b|\bprocess\b/);
    }
    const bytes = Buffer.alloc(1_000_000, 7);
    assert.ok((await here.request('beta:echo', bytes)).equals(bytes));
  });

  test(`${host}: a process apart that is killed has died, at once`, ROOT, async (t) => {
    const bus = new Bus(t);
    // Whoever waited for the end of its time would wait for longer than this test.
    if (host === 'the bridge is here') await bus.host({ resumeTimeout: 300_000 });
    else await startApart(t, { path: bus.path, bridge: 'auto', id: 'alpha' });
    const beta = await startApart(t, { path: bus.path, id: 'beta' });
    const here = await bus.node('here');
    const left = once(here, 'node:leave');
    await here.nodes();
    const asked = assert.rejects(here.request('beta:silence'), { code: 'ERR_NODE_LEFT' });
    await beta.kill();
    const [info, reason] = await left;
    assert.deepEqual([info.id, reason], ['beta', 'died']);
    await asked;
  });
}
