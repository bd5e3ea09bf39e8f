// What users were promised from the first day: every form of every call. Nothing here runs; it has to compile.

import { once } from 'node:events';
import {
  awesome, createBridge, createNode, Bridge, BusybodyError, Node, DEFAULT_ADDRESS, DEFAULT_PORT,
} from 'busybody';
import type { Address, BridgeOptions, Context, ErrorCode, Limits, NodeInfo, NodeOptions, Reply } from 'busybody';

const word: 'awesome' = awesome();
const port: number = DEFAULT_PORT;
const address: string = DEFAULT_ADDRESS;

export function bridges(): Bridge[] {
  const callback = (err?: Error | null) => { if (err) throw err; };
  const limits: Limits = { maxMessage: 1024, maxPending: 4096, stallTimeout: 100 };
  const options: BridgeOptions = { path: '/run/app.sock', mode: 0o660, resumeTimeout: 100, ...limits };
  return [
    createBridge(), createBridge(9003), createBridge('/run/app.sock'), createBridge('tcp://127.0.0.1:0'),
    createBridge(options), createBridge(callback), createBridge(9003, callback), createBridge({ port: 0 }, callback),
    new Bridge(), new Bridge(9003, callback), new Bridge(options, callback), new Bridge(address),
  ];
}

export function nodes(): Node[] {
  const callback = () => {};
  const where: Address = { host: '::1', port };
  const options: NodeOptions = {
    id: 'a', onConnect: (err) => console.error(err?.message), maxConnectionAttempts: 1, bridge: 'auto',
    replyTimeout: 0, serialization: 'advanced', onTaken: 'replace', ...where,
  };
  return [
    createNode(), createNode('id'), createNode(9003), createNode('id', 9003), createNode(9003, 'id'),
    createNode('id', 9003, callback), createNode('id', callback), createNode(9003, callback, 'id'),
    createNode({ serialization: 'values' }), createNode({ serialization: 'json' }),
    createNode('unix:///run/app.sock'), createNode(options), createNode(options, callback), createNode({ url: address }),
    new Node(), new Node('id', callback), new Node('id', 9003, callback), new Node(options),
  ];
}

export async function conversation(node: Node, signal: AbortSignal): Promise<string> {
  await node.ready;
  node.on('greet', (name: string, reply: Reply) => {
    if (!reply.broadcast) reply(null, `${word}, ${name} of ${reply.from}, for ${reply.event}`);
  });
  node.serve('dig', async ({ from, event, broadcast, signal, deadline }, depth: number) => {
    await fetch(`http://x/${from}${event}`, { signal });
    return broadcast ? depth : deadline! - Date.now();
  });
  node.handle('sum', (a: number, b: number) => a + b).handle('later', async () => Buffer.from('x'));
  node
    .publish('other:greet')
    .publish('other:greet', 'you', (err: Error | null, answer: string) => console.log(err, answer))
    .broadcast('news', { at: 1 }, new Uint8Array(3))
    .rpc('time', (err: Error | null, time: number) => console.log(err, time));
  const sum: number = await node.request<number>('other:sum', 1, 2);
  const anything = await node.request('other:sum', 1, 2);
  const time: number = await node.call<number>('time');
  const limited = node.with({ timeout: 500, signal });
  limited.publish('other:greet').rpc('time');
  const text: string = await limited.request('other:greet', sum, anything.whatever, await limited.call('time'), time);
  const others: NodeInfo[] = await node.nodes();
  for (const { id, pid, uid, address: from, since } of others) console.log(id, pid, uid, from, since.toFixed());
  if (node.needDrain && node.pending > 0) await once(node, 'drain');
  const state: [string, boolean, boolean] = [node.id, node.connected, node.hosting];
  node.unref().ref();
  await node.leave();
  await node.leave(true);
  await node.leave({ timeout: 500 });
  const { id: there }: NodeInfo = await node.waitFor('other', { event: 'sum', timeout: 5, signal });
  node.with({ wait: 500 }).publish(`${there}:greet`);
  return text + state.join();
}

export async function hosting(bridge: Bridge): Promise<void> {
  await bridge.ready;
  const url: string | null = bridge.url;
  const where = bridge.address();
  console.log(url, where && ('path' in where ? where.path : where.port + where.address + where.family));
  bridge.handle('time', () => Date.now()).handle('slow', async (what: string) => what)
    .serve('mine', ({ from, deadline }: Context, what: string) => [from, deadline, what]);
  bridge.nodes().map((node) => node.id);
  bridge.unref().ref();
  await bridge.close();
  await bridge.close(['bye', { code: 0 }]);
}

export async function disposal(): Promise<void> {
  await using bridge = createBridge();
  await using node = createNode({ url: bridge.url! });
  await node[Symbol.asyncDispose]();
}

export function meaning(error: unknown): string {
  if (!(error instanceof BusybodyError)) return 'the system';
  const code: ErrorCode = error.code;
  return code === 'ERR_TIMEOUT' ? error.message : code;
}

// Listeners may say less, or more, about their arguments than we do.
export function events(node: Node, bridge: Bridge): void {
  node.on('connect', () => {}).on('reconnect', () => {}).once('drain', () => {}).on('leave.force', () => {});
  node.on('disconnect', (err?: Error) => console.log(err)).on('error', (err: BusybodyError) => console.log(err.code));
  node.on('error', (err) => { const code: ErrorCode = err.code; console.log(code, err.code === 'EADDRINUSE'); });
  node.on('error.reconnect', (err: Error) => console.log(err)).on('close', (...data: unknown[]) => console.log(data));
  node.on('close', (goodbye: string, detail: { code: number }) => console.log(goodbye, detail.code));
  node.on('undeliverable', ({ target, event, code }) => console.log(target, event, code === 'ERR_UNKNOWN_NODE'));
  node.on('handler.error', ({ message }, { from, event }) => console.log(message, from.length, event.length));
  node.on('node:join', (info: NodeInfo) => console.log(info.id)).on('node:leave', (info) => console.log(info.id));
  node.off('x', () => {}).removeAllListeners('x').addListener('x', (a: number, b: string) => console.log(a, b));
  node.prependListener('x', () => {}).prependOnceListener(Symbol('x'), () => {}).setMaxListeners(0);
  bridge.on('listening', () => {}).on('error', (err: NodeJS.ErrnoException) => console.log(err.code));
  bridge.on('node:join', (info) => console.log(info.id)).on('node:leave', (info, reason) => console.log(info, reason));
  bridge.once('close', () => {}).on('rpc', ({ id, from, data: [method, args], response }) => {
    console.log(id, from, method, args);
    response(null, 42);
  });
}
