'use strict';

// A bridge and nothing else: it listens for no events, so that its process holds what the bus needs, and no garbage of
// JavaScript's. settings: its options.

const { createBridge } = require('../../..');
const { obey, report, settings } = require('../support/orders');

obey({});
createBridge(settings).ready.then(() => report('listening'));
