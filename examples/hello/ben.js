'use strict';

// One process that can be asked. Start it, then ada.js in another terminal.
const { createNode } = require('busybody');
const path = process.argv[2] ?? '/tmp/busybody-example.sock';
const ben = createNode({ path, id: 'ben', bridge: 'auto' }); // Nobody hosts the bus yet? Then this process does.
ben.handle('hello', (name) => `Hello ${name}, this is process ${process.pid}.`);
ben.ready.then(() => console.log('ben is here; Ctrl-C ends him'));
