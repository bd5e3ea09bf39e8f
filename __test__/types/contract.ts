// A contract typed once: what it infers, and what it does not let through. Nothing here runs.

import { once } from 'node:events';
import { createNode } from 'busybody';
import type { CallOptions, Contract, Node, NodeOptions, Reply } from 'busybody';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Equal<A, B>): void => {};

// As an interface, and as a type.
interface Bus {
  camera: {
    snap(size: number, mode?: 'raw' | 'jpeg'): Buffer;
    'lens:zoom'(by: number): Promise<{ zoom: number }>;
    off(): void;
  };
  users: { find(id: number): { name: string } | undefined; snap(who: string): string };
  '*': { news(text: string, at: Date): void };
}
type Small = { clock: { now(): number } };

export async function asking(): Promise<void> {
  const node = createNode<Bus>({ id: 'me', bridge: 'auto' });
  const picture = await node.request('camera:snap', 640);
  same<typeof picture, Buffer>(true);
  const zoomed = await node.request('camera:lens:zoom', 2);
  same<typeof zoomed, { zoom: number }>(true);
  const found = await node.with({ timeout: 5 }).request('users:find', 7);
  same<typeof found, { name: string } | undefined>(true);
  await node.request('camera:snap', 640, 'raw');
  node.publish('camera:off').publish('camera:snap', 1, 'jpeg').broadcast('news', 'rain', new Date());
  node.publish('users:find', 7, (err, user) => {
    same<typeof err, Error | null>(true);
    same<typeof user, { name: string } | undefined>(true);
  });
  node.with({ timeout: 5 }).publish('users:find', 7, (_err, user) => console.log(user?.name)).rpc('time');
  const time: number = await node.call<number>('time');
  const now = await createNode<Small>().request('clock:now');
  same<typeof now, number>(true);

  // @ts-expect-error nobody of that name
  node.request('kamera:snap', 640);
  // @ts-expect-error no such event there
  node.request('camera:find', 1);
  // @ts-expect-error a wrong argument
  node.request('camera:snap', '640');
  // @ts-expect-error one is missing
  node.request('camera:snap');
  // @ts-expect-error one too many
  node.request('camera:off', 1);
  // @ts-expect-error a wrong option of its
  node.request('camera:snap', 1, 'png');
  // @ts-expect-error it is a Buffer
  const text: string = await node.request('camera:snap', 640);
  // @ts-expect-error a target, not an id
  node.publish('camera', 1);
  // @ts-expect-error a wrong argument
  node.publish('users:find', 'seven');
  // @ts-expect-error not a broadcast
  node.broadcast('snap', 1);
  // @ts-expect-error a wrong argument
  node.broadcast('news', 5, new Date());
  // @ts-expect-error the same rules with other settings
  node.with({ timeout: 5 }).request('users:find', 'seven');
  // @ts-expect-error this contract has no broadcasts
  createNode<Small>().broadcast('news');
  console.log(text, time);
}

export function answering(): void {
  const camera = createNode<Bus, 'camera'>('camera');
  camera.handle('snap', (size, mode) => {
    same<typeof size, number>(true);
    same<typeof mode, 'raw' | 'jpeg' | undefined>(true);
    return Buffer.alloc(size);
  });
  camera.serve('lens:zoom', async ({ from, event, signal, deadline, broadcast }, by) => {
    same<typeof by, number>(true);
    same<typeof event, 'lens:zoom'>(true);
    same<typeof signal, AbortSignal>(true);
    return { zoom: by + (deadline ?? 0) + from.length + Number(broadcast) };
  });
  camera.handle('off', () => {}).handle('news', (text, at) => console.log(text.trim(), at.getTime()));
  camera.on('snap', (size, _mode, reply) => {
    same<typeof size, number>(true);
    same<typeof reply, Reply>(true);
  });
  camera.on('undeliverable', ({ target }) => console.log(target.trim()));
  camera.on('something of this process', (value) => console.log(value.whatever));
  once(camera, 'drain').then(() => camera.leave({ timeout: 1 }));
  camera.unref().ref().off('snap', () => {}).setMaxListeners(0).handle('snap', async () => Buffer.alloc(1));

  // @ts-expect-error it returns a Buffer
  camera.handle('snap', () => 'picture');
  // @ts-expect-error a promise of one, then
  camera.handle('snap', async () => 'picture');
  // @ts-expect-error it is sent a number
  camera.handle('snap', (size: string) => Buffer.from(size));
  // @ts-expect-error not what a camera is asked
  camera.handle('find', () => undefined);
  // @ts-expect-error no such event
  camera.serve('snapp', () => Buffer.alloc(1));
  // @ts-expect-error the context comes first
  camera.serve('snap', (size: number) => Buffer.alloc(size));
  // @ts-expect-error no id of the contract
  createNode<Bus, 'kamera'>('kamera');
  // Whoever may be any of them hears what any of them is asked.
  createNode<Bus>().handle('find', (id) => ({ name: id.toFixed() }));
}

export function loose(): void {
  // Without a contract everything stays any.
  const node = createNode();
  node.handle('anything', (a, b) => a.whatever + b);
  node.serve('anything', (context, a) => [context.from.trim(), a.whatever]);
  node.request('any:thing', 1).then((value) => value.whatever);
  const contract: Contract = { a: { b: (c: number) => c } };
  console.log(contract);
  // @ts-expect-error events are functions
  createNode<{ camera: { snap: number } }>();
}

// With exactOptionalPropertyTypes, an option that is undefined is as good as absent, as it is at run time.
export function optional(timeout: number | undefined, signal: AbortSignal | undefined): void {
  const options: NodeOptions = { id: undefined, url: undefined, onConnect: undefined, replyTimeout: timeout };
  const settings: CallOptions = { timeout, signal };
  createNode(options).with(settings);
  createNode({ id: undefined }).leave({ timeout });
}

// A typed node goes wherever a node is wanted.
export function plain(): Node {
  return createNode<Bus>();
}
