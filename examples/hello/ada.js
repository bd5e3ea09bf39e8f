'use strict';

// Another process, which asks ben.js.
const { createNode } = require('busybody');
const path = process.argv[2] ?? '/tmp/busybody-example.sock';
const ada = createNode({ path, id: 'ada' });
ada.request('ben:hello', 'Ada')
  .then(console.log)
  .finally(() => ada.leave()); // A node keeps its process alive until it leaves.
