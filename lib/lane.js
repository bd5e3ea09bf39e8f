'use strict';

// Whether large bodies go through memory that processes of one machine share, where they can.

const { invalidArg } = require('./errors.js');

/** True unless BUSYBODY_LANE is off. */
function lane() {
  const chosen = process.env.BUSYBODY_LANE;
  if (!chosen || chosen === 'on') return true;
  if (chosen === 'off') return false;
  throw invalidArg('BUSYBODY_LANE', '"on" or "off"', chosen, 'environment variable');
}

module.exports = { lane };
