'use strict';

// Where in the arguments a value stands, for a message that names it: args[0].user["first name"].get("x").

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;
const MAX_SHOWN = 200;

/** `steps`: keys and indices from the arguments down; what is not a key is an object with the text of the step. */
function pathOf(steps) {
  const path = `args${steps.map(stepText).join('')}`;
  return path.length <= MAX_SHOWN ? path : `${path.slice(0, MAX_SHOWN / 2)} … ${path.slice(-MAX_SHOWN / 2)}`;
}

/** The step to a value of a Map, by its key. */
function entryStep(key) {
  const shown = typeof key === 'string' ? JSON.stringify(key) : typeof key === 'object' || typeof key === 'function' ? '…' : String(key);
  return { text: `.get(${shown})` };
}

/** The step to the key of a Map or the value of a Set, by its number in order of insertion. */
function memberStep(index) {
  return { text: `.keys()[${index}]` };
}

function stepText(step) {
  if (typeof step === 'number') return `[${step}]`;
  if (typeof step === 'object') return step.text;
  return IDENTIFIER.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
}

module.exports = { entryStep, memberStep, pathOf };
