'use strict';

// The judge of the stress runs can say no: what is done to a journal is what the verdict says.

const test = require('node:test');
const assert = require('node:assert/strict');
const { Journal } = require('./stress/support/journal');
const { Random } = require('./stress/support/random');
const { note, survey } = require('./stress/support/runs');
const { growth } = require('./stress/support/trend');
const { judge, spotless } = require('./stress/support/verdict');
const { judgements } = require('./stress/soak');

const MESSAGES = 10;

/**
 * ann tells bob ten things, two of which are questions, and bob answers. `arrival` changes the list of numbers that
 * reach bob, `answers` that of the questions whose replies reach ann.
 */
function conversation({ arrival = (list) => list, answers = (list) => list, died = [], ann: more = () => {} } = {}) {
  const [ann, bob] = [new Journal('ann'), new Journal('bob')];
  const told = Array.from({ length: MESSAGES }, () => ann.tell('bob'));
  const asked = [ann.ask('bob'), ann.ask('bob')];
  for (const number of arrival(told)) bob.hear('ann', number);
  for (const question of answers(asked)) ann.answered('bob', question);
  more(ann);
  return judge([ann, bob].map((journal) => ({ ...plain(journal), lived: !died.includes(journal.id) })));
}

const plain = (journal) => JSON.parse(JSON.stringify(journal));
const without = (...numbers) => (list) => list.filter((number) => !numbers.includes(number));

test('all that was sent arrived once and in order: spotless', () => {
  const verdict = conversation();
  assert.equal(spotless(verdict), true);
  assert.deepEqual(verdict.messages, { sent: 10, arrived: 10, settled: 10, lost: 0, doubled: 0, reordered: 0 });
  assert.deepEqual(verdict.replies, { asked: 2, answered: 2, settled: 2, unsettled: 0, doubled: 0, reordered: 0 });
  assert.deepEqual(verdict.examples, []);
});

test('one is missing: lost, wherever it was', () => {
  for (const number of [1, 5, 10]) {
    const verdict = conversation({ arrival: without(number) });
    assert.deepEqual(verdict.messages, { sent: 10, arrived: 9, settled: 9, lost: 1, doubled: 0, reordered: 0 });
    assert.equal(spotless(verdict), false);
    assert.deepEqual(verdict.examples, [`ann → bob: 1 lost (10 sent, the first missing is ${number})`]);
  }
});

test('nothing arrived at all: everything is lost', () => {
  assert.equal(conversation({ arrival: () => [] }).messages.lost, 10);
});

test('one came twice: doubled, at once or later', () => {
  for (const arrival of [(list) => list.toSpliced(4, 0, 5), (list) => [...list, 5], (list) => [1, ...list]]) {
    const verdict = conversation({ arrival });
    assert.equal(spotless(verdict), false);
    assert.deepEqual([verdict.messages.doubled, verdict.messages.lost, verdict.messages.reordered], [1, 0, 0]);
  }
  assert.equal(conversation({ arrival: (list) => [...list, ...list] }).messages.doubled, 10);
});

test('two changed places: reordered, neither lost nor doubled', () => {
  const verdict = conversation({ arrival: ([first, second, ...rest]) => [second, first, ...rest] });
  assert.equal(spotless(verdict), false);
  assert.deepEqual([verdict.messages.reordered, verdict.messages.lost, verdict.messages.doubled], [1, 0, 0]);
});

test('a question that was never settled', () => {
  const verdict = conversation({ answers: without(2) });
  assert.equal(verdict.replies.unsettled, 1);
  assert.equal(spotless(verdict), false);
});

test('a callback that was called twice, with a reply or with an error', () => {
  assert.equal(conversation({ answers: (list) => [...list, 2] }).replies.doubled, 1);
  assert.equal(conversation({ ann: (ann) => ann.failed('bob', 3, 1, 'ERR_TIMEOUT') }).replies.doubled, 1);
});

test('replies in another order than their questions', () => {
  assert.equal(conversation({ answers: (list) => list.toReversed() }).replies.reordered, 1);
});

test('a question that failed is not lost, but between living nodes it must not fail', () => {
  const settings = { arrival: without(10), answers: without(1), ann: (ann) => ann.failed('bob', 10, 1, 'ERR_NODE_LEFT') };
  const verdict = conversation(settings);
  assert.deepEqual([verdict.messages.lost, verdict.replies.unsettled], [0, 0]);
  assert.deepEqual(verdict.failures, { living: { ERR_NODE_LEFT: 1 }, dead: {} });
  assert.equal(spotless(verdict), false);
  const withTheDead = conversation({ ...settings, died: ['bob'] });
  assert.deepEqual(withTheDead.failures, { living: {}, dead: { ERR_NODE_LEFT: 1 } });
  assert.equal(spotless(withTheDead), true);
});

test('a question that failed although it was heard covers up for no other loss', () => {
  const verdict = conversation({ arrival: without(7), answers: without(1), ann: (ann) => ann.failed('bob', 3, 1, 'ERR_TIMEOUT') });
  assert.equal(verdict.messages.lost, 1);
});

test('what was reported undeliverable is not lost', () => {
  const verdict = conversation({ arrival: without(4, 5), ann: (ann) => ann.denied('bob', 'ERR_QUEUE_FULL') });
  assert.equal(verdict.messages.lost, 1);
  assert.deepEqual(verdict.failures.living, { ERR_QUEUE_FULL: 1 });
});

test('the last that the dead had sent or were sent may be missing; nothing may come twice or late', () => {
  for (const died of [['ann'], ['bob']]) {
    assert.equal(spotless(conversation({ died, arrival: without(9, 10) })), true);
    assert.equal(conversation({ died, arrival: without(9, 10) }).withTheDead, 2);
    assert.deepEqual(conversation({ died, arrival: without(9, 10) }).messages, { sent: 8, arrived: 8, settled: 8, lost: 0, doubled: 0, reordered: 0 });
    assert.equal(conversation({ died, arrival: (list) => [...list, 10] }).messages.doubled, 1);
    assert.equal(conversation({ died, arrival: (list) => list.toReversed() }).messages.reordered, 9);
  }
});

test('what was sent to the dead, or by them, before something that arrived is lost when it is missing', () => {
  for (const died of [['ann'], ['bob']]) {
    assert.equal(conversation({ died, arrival: without(1, 5, 10) }).messages.lost, 2);
    const failed = conversation({ died, arrival: without(5), answers: without(1), ann: (ann) => ann.failed('bob', 5, 1, 'ERR_TIMEOUT') });
    assert.equal(failed.messages.lost, 0);
    assert.deepEqual(failed.failures.living, { ERR_TIMEOUT: 1 });
  }
});

test('whoever asked a node that died is told; the dead are not', () => {
  assert.equal(conversation({ died: ['bob'], answers: without(2) }).replies.unsettled, 1);
  assert.equal(conversation({ died: ['ann'], answers: without(2) }).replies.unsettled, 0);
});

test('a message that nobody sent is damage', () => {
  assert.equal(conversation({ arrival: (list) => [...list, 11] }).damaged, 1);
});

test('runs say of any arrival what a list of all numbers would say', () => {
  const random = new Random(7);
  for (let round = 0; round < 2000; round += 1) {
    const arrival = Array.from({ length: random.below(20) }, () => random.between(1, 12));
    const runs = [];
    for (const number of arrival) note(runs, number);
    const { seen, doubled, reordered } = survey(runs);
    const numbers = seen.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i));
    assert.deepEqual({ numbers, doubled, reordered }, byTheList(arrival), `${arrival}`);
  }
});

function byTheList(arrival) {
  const seen = new Set();
  let [doubled, reordered] = [0, 0];
  for (const number of arrival) {
    if (seen.has(number)) doubled += 1;
    else if (number < Math.max(0, ...seen)) reordered += 1;
    seen.add(number);
  }
  return { numbers: [...seen].sort((a, b) => a - b), doubled, reordered };
}

test('growth: what a series gains over its last half, as a share of it', () => {
  const series = (value) => Array.from({ length: 200 }, (_, at) => value(at));
  const noise = new Random(7);
  assert.equal(growth(series(() => 50)), 0);
  assert.ok(Math.abs(growth(series((at) => 100 + at / 10)) - 9.9 / 114.95) < 1e-9, 'from 110 to 119.9');
  assert.ok(growth(series((at) => 200 - at / 10)) < -0.05, 'it falls');
  assert.ok(growth(series((at) => Math.min(at, 100) + 50)) < 0.001, 'it rose before');
  assert.ok(Math.abs(growth(series(() => 1000 + noise.between(-50, 50)))) < 0.02, 'noise');
  assert.deepEqual([growth([]), growth([5]), growth([1, 9])], [0, 0, 0]);
});

test('soak: a heap that rises by more than 1 % over the last half is told from one that is flat', () => {
  const verdict = (heap, minutes) => {
    const flat = { memory: 8e7, descriptors: 20, handles: 9, itsDescriptors: 30, itsMemory: 9e7, heap: 1e7 };
    const samples = Array.from({ length: 100 }, (_, at) => ({ ...flat, heap: heap(at) }));
    const judged = judgements({ samples, failures: 0, minutes });
    return judged.filter(({ ok, strict }) => !ok && !strict).map(({ what }) => what);
  };
  const steady = (at) => 1e7 + at % 7 * 1e4;
  const leaking = (at) => 1e7 + at * 5e3;
  assert.deepEqual([verdict(steady, 10), verdict(steady, 0.1), verdict(leaking, 0.1)], [[], [], []]);
  assert.deepEqual(verdict(leaking, 10), ['heap of the process that stays: flat over the last half, 1 % at most']);
});

test('one seed, one course of things', () => {
  const draw = (seed) => {
    const random = new Random(seed);
    return [random.shuffle([1, 2, 3, 4, 5, 6, 7, 8]), random.between(3, 9), random.pick('abc'), random.seed()];
  };
  assert.deepEqual(draw(1), draw(1));
  assert.notDeepEqual(draw(1), draw(2));
});

test('presence: each process joins and leaves once, and the end of each that died is told', () => {
  const listener = (presence, met = []) => judge([
    { id: 'ann', lived: true, peers: {}, presence, met },
    { id: 'bob', lived: true, peers: {} },
    { id: 'dead', lived: false, peers: {} },
  ]).presence;
  assert.deepEqual(listener({ bob: [true], dead: [true, false] }, ['bob', 'dead']), { twice: 0, untrue: 0, untold: 0 });
  assert.deepEqual(listener({ bob: [true, true], dead: [false, false] }), { twice: 2, untrue: 0, untold: 0 });
  assert.deepEqual(listener({ bob: [false] }, ['dead']), { twice: 0, untrue: 1, untold: 1 });
});

test('who was away and given up lost what it lost; what it asked is settled all the same', () => {
  const peer = { told: 3, asked: 2, heard: [], answers: [], failed: [[1, 1, 'ERR_NODE_LEFT']], denied: {} };
  const verdict = judge([{ id: 'away', lived: false, absent: true, settles: true, peers: { bob: peer } }, { id: 'bob', lived: true, peers: {} }]);
  assert.deepEqual([verdict.messages.lost, verdict.replies.unsettled], [0, 1]);
});

test("a 'drain' that is due and never came is missed by those that live, also after they were away", () => {
  const node = (facts) => judge([{ id: 'ann', lived: true, peers: {}, ...facts }]);
  const stuck = node({ drainDue: true });
  assert.deepEqual([stuck.stuck, spotless(stuck)], [1, false]);
  assert.deepEqual(stuck.examples, ["ann: 1 'drain' missing (nothing is pending any more)"]);
  assert.equal(node({ lived: false, absent: true, settles: true, drainDue: true }).stuck, 1);
  assert.equal(node({ lived: false, drainDue: true }).stuck, 0);
  assert.deepEqual([node({ drainDue: false }).stuck, spotless(node({}))], [0, true]);
  const journal = new Journal('bob');
  journal.drainDue = true;
  assert.equal(judge([{ ...plain(journal), lived: true }]).stuck, 1);
});
