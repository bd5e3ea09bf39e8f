'use strict';

// The program under test: a service that other processes ask, and its client.

const { createNode } = require('busybody');

class OutOfStock extends Error {
  constructor(article) {
    super(`no ${article} left`);
    this.name = 'OutOfStock';
    this.code = 'OUT_OF_STOCK';
    this.details = [{ article, left: 0 }];
  }
}

function createStock(address, amounts) {
  const node = createNode({ ...address, id: 'stock' });
  node.handle('take', (article) => {
    if (!(amounts[article] > 0)) throw new OutOfStock(article);
    amounts[article] -= 1;
    return { article, left: amounts[article] };
  });
  // Ends when nobody waits for it any more, so that it does not hold up leave().
  node.serve('never', ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', resolve)));
  return node;
}

module.exports = { OutOfStock, createStock };
