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
  node.handle('never', () => new Promise(() => {}));
  return node;
}

module.exports = { OutOfStock, createStock };
