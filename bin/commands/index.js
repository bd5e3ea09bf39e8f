'use strict';

/** In the order of the help. Each: name, synopsis, summary, details, options, arity, examples, run. */
module.exports = [
  require('./bridge'),
  require('./publish'),
  require('./broadcast'),
  require('./rpc'),
  require('./listen'),
  require('./nodes'),
];
