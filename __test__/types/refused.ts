// What index.d.ts is there to catch: each line marked must not compile.

import { createBridge, createNode } from 'busybody';
import type { BridgeEvents, ErrorCode, NodeEvents, NodeInfo, RpcCall, Undeliverable } from 'busybody';

// @ts-expect-error a wrong type
createNode({ id: 1 });
// @ts-expect-error an option that does not exist
createNode({ name: 'a' });
// @ts-expect-error neither of the two
createNode({ bridge: 'maybe' });
// @ts-expect-error a node's option
createBridge({ id: 'a' });
// @ts-expect-error the values are an array
createBridge().close('bye');

const node = createNode();
// @ts-expect-error not a target
node.publish(1);
// @ts-expect-error a handler is a function
node.handle('sum', 3);
// @ts-expect-error settings are fixed once it exists
node.id = 'b';
// @ts-expect-error only calls
node.with({ timeout: 1 }).leave();
// @ts-expect-error a string is promised
node.request<string>('a:b').then((value) => value.toFixed());
// @ts-expect-error no such code
const code: ErrorCode = 'ERR_WHATEVER';

// The events' arguments are typed without a word from the user.
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Equal<A, B>): void => {};
node.on('node:leave', (info, reason) => {
  same<typeof info, NodeInfo>(true);
  same<typeof reason, string>(true);
});
node.once('undeliverable', (message) => same<typeof message, Undeliverable>(true));
createBridge().on('rpc', (call) => same<typeof call, RpcCall>(true));
node.on('a remote event', (value) => same<typeof value, any>(true));
same<keyof BridgeEvents, 'listening' | 'error' | 'close' | 'node:join' | 'node:leave' | 'handler.error' | 'rpc'>(true);
same<NodeEvents['close'], [...data: any[]]>(true);

export { code };
