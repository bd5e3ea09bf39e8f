'use strict';

// From the journals of all nodes: what was lost, doubled, reordered or never settled. A pure function.

const { firstMissing, greatest, has, missing, size, survey } = require('./runs');

/** Lines that say where it went wrong; more of them would not help. */
const EXAMPLES = 8;
const NOTHING = { told: 0, asked: 0, heard: [], answers: [], failed: [], denied: {} };

/**
 * `journals`: [{ id, lived, damaged, peers: { [id]: { told, asked, heard, answers, failed, denied } } }], where
 *   told, asked: how many messages and how many questions among them this node sent to the peer, numbered from 1;
 *   heard: the peer's messages, answers: the peer's replies to questions, both as runs of numbers in order of arrival;
 *   failed: [number, question, code] of each question whose callback got an error;
 *   denied: { code: times } of 'undeliverable';
 *   and, beside peers, presence: { [id]: [whether it joined, …] } as the node was told, and met: ids that it knew to be there.
 * drainDue: whether the node said that it needs a 'drain' which has not come, once nothing is under way any more.
 * `absent`: it was away for so long that it was given up, and came back. `settles`: it lives at the end, so what it asked is
 * settled: as `lived` unless given.
 * `lived`: whether the node lived from its first message to the end; else its journal is one from shortly before. Of what
 * a dead node was sent, or had sent, the last may be gone. But what came before something that arrived was under way while
 * both lived: nothing of it may be missing. Nothing may be doubled or reordered, and who asked a dead node must be told.
 */
function judge(journals) {
  const byId = new Map(journals.map((journal) => [journal.id, journal]));
  const verdict = blank(journals);
  for (const listener of journals.filter(({ lived }) => lived)) judgePresence(verdict, listener, byId);
  judgeDrains(verdict, journals);
  for (const sender of journals) {
    const ids = new Set([...Object.keys(sender.peers), ...journals.filter(({ peers }) => sender.id in peers).map(({ id }) => id)]);
    for (const id of ids) {
      const receiver = byId.get(id) ?? { id, lived: false, peers: {} };
      judgeMessages(verdict, sender, receiver);
      judgeReplies(verdict, sender, receiver);
    }
  }
  return verdict;
}

/** Whether nothing at all went wrong. */
function spotless({ messages, replies, presence, failures, stuck, damaged }) {
  const faults = [...Object.values(presence), messages.lost, messages.doubled, messages.reordered, replies.unsettled, replies.doubled, replies.reordered, stuck, damaged];
  return faults.every((fault) => fault === 0) && Object.keys(failures.living).length === 0;
}

function blank(journals) {
  return {
    /** What was sent while both nodes lived; `settled` is what arrived or was reported. */
    messages: { sent: 0, arrived: 0, settled: 0, lost: 0, doubled: 0, reordered: 0 },
    /** What nodes asked that lived; those asked may have died. */
    replies: { asked: 0, answered: 0, settled: 0, unsettled: 0, doubled: 0, reordered: 0 },
    /** What nodes were told of each other: the same twice, the end of one that lived, or not the end of one that died. */
    presence: { twice: 0, untrue: 0, untold: 0 },
    /** Nodes that live and wait for a 'drain' which is due and did not come. */
    stuck: 0,
    /** Errors told to the sender, by code: between nodes that lived there should be none. */
    failures: { living: {}, dead: {} },
    /** Messages to or from nodes that were killed or given up, after the last that arrived. */
    withTheDead: 0,
    damaged: journals.reduce((total, { damaged = 0 }) => total + damaged, 0),
    examples: [],
  };
}

/** Nobody waits for a 'drain' at the end: what was pending is settled, whatever became of its receivers and of bridges. */
function judgeDrains(verdict, journals) {
  const stuck = journals.filter(({ lived, settles = lived, drainDue = false }) => settles && drainDue);
  for (const { id } of stuck) example(verdict, id, { "'drain' missing": 1 }, 'nothing is pending any more');
  verdict.stuck = stuck.length;
}

/** Each process joins once and leaves once, for whoever listens, whatever became of bridges. */
function judgePresence(verdict, { id: listener, presence = {}, met = [] }, byId) {
  for (const id of new Set([...Object.keys(presence), ...met])) {
    const told = presence[id] ?? [];
    const { lived, absent = false, settles = lived } = byId.get(id) ?? {};
    const left = told.filter((joined) => !joined).length;
    const wrong = {
      twice: told.filter((joined, i) => joined === told[i - 1]).length,
      untrue: lived && !absent ? left : 0,
      untold: settles === false && left === 0 ? 1 : 0,
    };
    for (const [fault, times] of Object.entries(wrong)) verdict.presence[fault] += times;
    example(verdict, `${id} ⇝ ${listener}`, wrong, `told ${told.map((joined) => (joined ? 'join' : 'leave')).join(', ') || 'nothing'}`);
  }
}

function judgeMessages(verdict, sender, receiver) {
  const { told } = between(sender, receiver);
  const { seen, doubled, reordered } = survey(between(receiver, sender).heard);
  const wrong = { doubled, reordered, lost: judgeLoss(verdict, sender, receiver, seen) };
  verdict.messages.doubled += doubled;
  verdict.messages.reordered += reordered;
  verdict.messages.lost += wrong.lost;
  example(verdict, `${sender.id} → ${receiver.id}`, wrong, `${told} sent, the first missing is ${firstMissing(seen)}`);
}

/** What was lost of what `sender` said: it depends on who lived, and was there. */
function judgeLoss(verdict, sender, receiver, seen) {
  if (sender.absent || receiver.absent) return withTheAbsent(verdict, sender, receiver, seen);
  return (sender.lived && receiver.lived ? living : withTheDead)(verdict, sender, receiver, seen);
}

/** While one of the two was given up, nothing reached it: any part may be gone. */
function withTheAbsent(verdict, sender, receiver, seen) {
  const { told, failed, denied } = between(sender, receiver);
  verdict.withTheDead += told - size(seen);
  addUp(verdict.failures.dead, codes(failed, denied));
  return 0;
}

/** Between two that lived: all that was sent must have arrived. Returns how much was lost. */
function living(verdict, sender, receiver, seen) {
  const { told, failed, denied } = between(sender, receiver);
  const { messages, failures } = verdict;
  const absent = missing(seen, told);
  const reported = failed.filter(([number]) => !has(seen, number)).length + sum(denied);
  const lost = Math.max(0, absent - reported);
  messages.sent += told;
  messages.arrived += told - absent;
  messages.settled += told - lost;
  verdict.damaged += Math.max(0, size(seen) - told + absent); // numbers that nobody has sent
  addUp(failures.living, codes(failed, denied));
  return lost;
}

/** Between two of whom one died: what arrived must be the beginning of what was sent. Returns how much was lost. */
function withTheDead(verdict, sender, receiver, seen) {
  const { told, failed, denied } = between(sender, receiver);
  const last = greatest(seen);
  const early = failed.filter(([number]) => number < last && !has(seen, number));
  const lost = missing(seen, last) - early.length;
  verdict.messages.sent += last;
  verdict.messages.arrived += size(seen);
  verdict.messages.settled += last - lost;
  verdict.withTheDead += Math.max(0, told - last);
  if (sender.lived) addUp(verdict.failures.dead, codes(failed.filter((failure) => !early.includes(failure)), denied));
  addUp(verdict.failures.living, codes(early, {}));
  return lost;
}

function judgeReplies(verdict, asker, replier) {
  const { asked, answers, failed } = between(asker, replier);
  const { seen, doubled, reordered } = survey(answers);
  const twice = failed.filter(([, question]) => has(seen, question)).length + failed.length - new Set(failed.map(([, question]) => question)).size;
  const { replies } = verdict;
  const wrong = { doubled: doubled + twice, reordered };
  replies.doubled += wrong.doubled;
  replies.reordered += wrong.reordered;
  if (asker.settles ?? asker.lived) {
    const settled = size(seen) + failed.length - twice;
    wrong.unsettled = asked - settled;
    replies.asked += asked;
    replies.answered += size(seen);
    replies.settled += settled;
    replies.unsettled += wrong.unsettled;
  }
  example(verdict, `${replier.id} ⇢ ${asker.id}`, wrong, `${asked} asked`);
}

function between(one, other) {
  return one.peers[other.id] ?? NOTHING;
}

function codes(failed, denied) {
  const counts = { ...denied };
  for (const [, , code] of failed) counts[code] = (counts[code] ?? 0) + 1;
  return counts;
}

function addUp(total, counts) {
  for (const [code, times] of Object.entries(counts)) total[code] = (total[code] ?? 0) + times;
}

function sum(counts) {
  return Object.values(counts).reduce((total, times) => total + times, 0);
}

function example({ examples }, who, wrong, more) {
  const faults = Object.entries(wrong).filter(([, times]) => times > 0).map(([fault, times]) => `${times} ${fault}`);
  if (faults.length > 0 && examples.length < EXAMPLES) examples.push(`${who}: ${faults.join(', ')} (${more})`);
}

module.exports = { judge, spotless };
