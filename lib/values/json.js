'use strict';

/** All but what JSON takes as it is: quote, backslash, controls; and surrogates, for a lone one is escaped, a pair not. */
const SPECIAL = /[^ !#-[\]-\ud7ff\ue000-\uffff]/;

/** JSON.stringify for one string, in half its time when nothing needs an escape. */
function quote(string) {
  return SPECIAL.test(string) ? JSON.stringify(string) : `"${string}"`;
}

module.exports = { quote };
