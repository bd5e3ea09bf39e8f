'use strict';

// Ask a node and get its answer. Both nodes live in this process to keep the example in one file;
// not a line would change if each had its own.

const { createBridge, createNode } = require('busybody');
const path = process.argv[2] ?? '/tmp/busybody-example.sock';

const PRICES = { bread: 3, cake: 5 };

async function main() {
  const bridge = createBridge({ path });
  await bridge.ready;
  const shop = createNode({ path, id: 'shop' });
  const customer = createNode({ path, id: 'customer' });
  await shop.ready; // Before that, customers would hear: ERR_UNKNOWN_NODE.

  // What a handler returns, or its promise resolves with, is the reply. What it throws is the error.
  shop.handle('price', async (item) => {
    if (!(item in PRICES)) throw Object.assign(new Error(`no ${item} today`), { code: 'SOLD_OUT' });
    return PRICES[item];
  });

  console.log('bread:', await customer.request('shop:price', 'bread'));
  await customer.request('shop:price', 'pie').catch(({ code, message }) => console.log('pie:', code, message));

  // A plain listener works, too: its last argument is the reply, and knows who asks.
  shop.on('order', (item, amount, reply) => {
    reply(null, `${amount} ${item} for ${reply.from}`);
  });

  // And callbacks work as ever. It is called exactly once, whatever happens to the shop.
  customer.publish('shop:order', 'cake', 2, (err, receipt) => {
    if (err) throw err;
    console.log('order:', receipt);
    bridge.close();
  });
}

main();
