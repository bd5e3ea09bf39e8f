'use strict';

// Nodes that were forgotten without leave(): what the garbage collector finds leaves the bus, and a warning says so.
//
// The native side calls into a node for as long as it has a link, which would keep every node for ever. So it is
// given a WeakHandle instead, which holds its node only while the node is of use to somebody: while something listens to
// it, a call waits, or it has yet to connect. Otherwise it is for those who refer to it to keep it. A node that hosts
// the bridge is kept by the bridge; and a bridge, like a listening server, serves others and is never forgotten.

const { warn } = require('./guard.js');
const { DISPATCH, NOTICE, kindOf, noticeOf } = require('./native-abi.js');
const { clearTimeout, setImmediate, setTimeout } = require('./time.js');

/** Reasons to hold a node that nobody refers to. */
const HELD = Object.freeze({ CONNECTING: 1, LISTENED: 2, WAITING: 4 });

/** Milliseconds that its receivers have to take what a forgotten node had sent. */
const PATIENCE = 5_000;
/** Milliseconds for the bridge to answer a goodbye that waits for nothing else. */
const GOODBYE_PATIENCE = 1_000;

/** Tells of the end of a link, in the notices of a node that says goodbye. */
const ENDS = new Set([NOTICE.LEFT, NOTICE.LOST, NOTICE.ENDED]);

/** What a node keeps alive. */
const kept = new WeakMap();

/** Between the native side and a node's Inbound: strong while there is a reason, else weak. */
class WeakHandle {
  #weak;
  #strong;
  #reasons = HELD.CONNECTING;
  #over = false;

  constructor(node, inbound) {
    kept.set(node, inbound);
    this.#weak = new WeakRef(inbound);
    this.#strong = inbound;
  }

  /** For the native side to call, as Inbound's. */
  dispatch = (head, correlation, body) => (this.#strong ?? this.#weak.deref())?.dispatch(head, correlation, body);

  /** The same for when the socket is ready. */
  turn = () => (this.#strong ?? this.#weak.deref())?.turn();

  /** There is this reason to hold it, or no longer. */
  set(reason, holds) {
    this.#reasons = holds ? this.#reasons | reason : this.#reasons & ~reason;
    if (this.#over || this.#reasons === 0) this.#strong = null;
    else this.#strong ??= this.#weak.deref();
  }

  /** The node has left, and needs no reason any more to be collected. */
  end() {
    this.#over = true;
    this.#strong = null;
    forgotten.unregister(this);
  }

  /** The node is gone; `successor` takes the calls. */
  handOver(successor) {
    this.#strong = successor;
  }
}

/** Takes the calls of a node that is gone until it has left the bus, in good order: what it had sent arrives. */
class Cleanup {
  #resources;
  #patience = null;

  /** `resources`: as given to `watch`. */
  constructor(resources) {
    this.#resources = resources;
  }

  begin() {
    const { native, weakHandle } = this.#resources;
    weakHandle.handOver(this);
    if (!native.leave()) return this.#end();
    this.#patience = setTimeout(() => {
      native.insistOnLeaving();
      this.#patience = setTimeout(() => this.#end(), GOODBYE_PATIENCE).unref();
    }, PATIENCE).unref();
  }

  dispatch(head) {
    if (kindOf(head) === DISPATCH.NOTICE && ENDS.has(noticeOf(head))) this.#end();
  }

  turn() {
    this.#resources.functions.turn();
  }

  #end() {
    clearTimeout(this.#patience);
    const { release, keepAlive } = this.#resources;
    // The link must not be taken from under the call that brings the notice.
    setImmediate(() => {
      release('the node was forgotten');
      keepAlive.stop();
    });
  }
}

const forgotten = new FinalizationRegistry((resources) => {
  warnOnce(resources.id);
  new Cleanup(resources).begin();
});

let warned = false;

/** Once: whoever forgets one forgets many. */
function warnOnce(id) {
  if (warned) return;
  warned = true;
  warn(
    `The node '${id}' was garbage-collected without leave(), and leaves the bus now. Nothing listened to it, and nothing `
    + 'referred to it any more: keep a reference to a node for as long as you want it on the bus, then call leave(). '
    + 'Further ones leave without a warning.',
    { type: 'BusybodyWarning', code: 'BUSYBODY_DROPPED' },
  );
}

/**
 * Ends `node` well should it be forgotten before its WeakHandle has ended. Nothing in `resources` may lead to the node:
 * { id, native, functions, weakHandle, keepAlive, release(text) }, where `release` is what ends every node.
 */
function watch(node, resources) {
  forgotten.register(node, resources, resources.weakHandle);
}

module.exports = { HELD, WeakHandle, watch };
