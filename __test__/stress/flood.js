'use strict';

// npm run flood: one sender at full speed, and a receiver that is busy half of its time. Whoever waits for 'drain' loses
// nothing; whoever does not is told ERR_QUEUE_FULL; and the bridge between them stays as small as it was configured.

const { command } = require('./support/command');
const { MiB, count, mib, tally } = require('./support/figures');
const { resident, residentPeak } = require('./support/holdings');
const { table } = require('./support/print');
const { ask, askAll, hire, hireBridge } = require('./support/staff');
const { within } = require('./support/time');
const { judge } = require('./support/verdict');

/** What the bridge may hold for the receiver, and the sender for all. */
const MAX_PENDING = { bridge: 8 * MiB, sender: 16 * MiB };

/** What the bridge's process may grow by besides: its own buffers, and what V8 does meanwhile. */
const ALLOWANCE = 32 * MiB;

/** Both ways to send: minding `needDrain`, and not. */
const VARIANTS = { polite: true, heedless: false };

/** `options`: { seconds, progress(text) }, seconds for each variant. Resolves to { floods, judged }. */
async function flood({ seconds, progress }, scope) {
  const floods = [];
  for (const [name, polite] of Object.entries(VARIANTS)) {
    progress(`${name} sender: ${seconds} s`);
    floods.push({ name, polite, seconds, ...(await pour(polite, seconds, scope)) });
  }
  return { floods, judged: floods.flatMap(judgements) };
}

async function pour(polite, seconds, scope) {
  const path = `${scope.directory()}/bus.sock`;
  const bridge = await hireBridge(scope, { path, maxPending: MAX_PENDING.bridge });
  const base = resident(bridge.pid);
  const settings = (role) => ({ role, path, maxPending: MAX_PENDING.sender, polite });
  const [sender, receiver] = ['sender', 'receiver'].map((role) => hire(scope, 'flood.js', settings(role)));
  await askAll([sender, receiver], 'ready');
  await ask(sender, 'flood', { seconds });
  const { waits } = await finish(sender, seconds);
  const peaks = Object.fromEntries(Object.entries({ bridge, sender, receiver }).map(([name, { pid }]) => [name, residentPeak(pid)]));
  const answers = await askAll([sender, receiver], 'journals');
  const journals = answers.flatMap((answer) => answer.journals).map((journal) => ({ ...journal, lived: true }));
  await Promise.all([sender, receiver, bridge].map((child) => child.kill()));
  return { verdict: judge(journals), troubles: answers.flatMap(({ troubles }) => troubles), waits, base, peaks };
}

/** The sender's answer when everything has arrived: no sooner than the flood ends, and then it may take a while. */
function finish(sender, seconds) {
  const settled = sender.next('settle');
  sender.send({ do: 'settle' });
  return within((2 * seconds + 60) * 1000, settled, 'the flood did not settle');
}

function judgements({ name, polite, verdict, base, peaks, troubles }) {
  const { lost, doubled, reordered } = verdict.messages;
  const { ERR_QUEUE_FULL: refused = 0, ...others } = verdict.failures.living;
  const most = MAX_PENDING.bridge + ALLOWANCE;
  return [
    { what: `${name}: nothing lost, doubled or reordered`, said: tally({ lost, doubled, reordered }), ok: lost + doubled + reordered === 0 },
    polite
      ? { what: 'polite: nothing refused', said: tally(verdict.failures.living), ok: Object.keys(verdict.failures.living).length === 0 }
      : { what: 'heedless: refused with ERR_QUEUE_FULL and nothing else', said: tally(verdict.failures.living), ok: refused > 0 && Object.keys(others).length === 0 },
    { what: `${name}: the bridge grows by ${mib(most)} at most`, said: mib(peaks.bridge - base), ok: peaks.bridge - base <= most },
    { what: `${name}: nothing damaged, no node in trouble`, said: troubles.join('; ') || count(verdict.damaged), ok: troubles.length + verdict.damaged === 0 },
  ];
}

function page({ floods }, paint) {
  const rows = floods.map(({ name, seconds, verdict, waits, base, peaks }) => {
    const { sent, arrived } = verdict.messages;
    return [name, count(sent), count(arrived), count(arrived / seconds), count(waits), mib(base), mib(peaks.bridge), mib(peaks.sender), mib(peaks.receiver)];
  });
  const header = ['sender', 'sent', 'arrived', 'a second', 'waits', 'bridge at first', 'bridge, peak', 'sender, peak', 'receiver, peak'];
  return [
    paint('bold', 'Flood'),
    paint('dim', `  bounds: ${mib(MAX_PENDING.bridge)} for one node in the bridge, ${mib(MAX_PENDING.sender)} in the sender`),
    ...table([header, ...rows], paint),
    ...floods.flatMap(({ verdict }) => verdict.examples).map((text) => paint('red', `  ${text}`)),
  ];
}

command(module, {
  name: 'flood',
  about: 'One sender at full speed to a receiver that is busy half of its time, once minding needDrain and once not.\nExit code 0: memory bounded, order kept, nothing lost.',
  flags: { seconds: { default: 60, about: 'seconds that each of the two takes', least: 1 } },
  run: flood,
  page,
});

module.exports = { flood };
