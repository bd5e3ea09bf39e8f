'use strict';

// Seeing what is called, how often and with what.

/** A function that keeps the arguments of each of its calls; `called` resolves with those of the first. */
function spy() {
  const calls = [];
  let first;
  const called = new Promise((resolve) => (first = resolve));
  const fn = (...args) => {
    calls.push(args);
    first(args);
  };
  return { fn, calls, called };
}

/** Keeps what `emitter` emits as `event`; `reached(n)` resolves once there were n of them. */
function collect(emitter, event, pick = (value) => value) {
  const values = [];
  let wanted = Infinity;
  let done;
  emitter.on(event, (...args) => {
    values.push(pick(...args));
    if (values.length >= wanted) done(values);
  });
  const reached = (count) =>
    new Promise((resolve) => {
      wanted = count;
      done = resolve;
      if (values.length >= count) resolve(values);
    });
  return { values, reached };
}

/** The arguments of the callback that `send` is given. */
function answer(send) {
  return new Promise((resolve) => send((...args) => resolve(args)));
}

module.exports = { answer, collect, spy };
