/**
 * busybody: a message bus for the processes of one machine. One **bridge** connects all **nodes**; it lives in any
 * process, and the first process to need it can host it.
 *
 * ```js
 * const { createNode } = require('busybody');
 *
 * const node = createNode('greeter');
 * node.handle('hello', (name) => `hello, ${name}`);
 * // in another process:
 * const answer = await createNode().request('greeter:hello', 'world');
 * ```
 *
 * Times are in milliseconds, sizes in bytes.
 *
 * @packageDocumentation
 */

import { EventEmitter } from 'node:events';

// Only what says `export` is exported.
export {};

/** TCP port used when a host is given without a port: 8221. */
export const DEFAULT_PORT: number;

/**
 * Address used when none is given, as a URL: what the environment variable `BUSYBODY_ADDRESS` names, else this user's own
 * Unix socket: `unix://$XDG_RUNTIME_DIR/busybody/default.sock`, or `unix:///tmp/busybody-<uid>/default.sock` without
 * that variable. Reading it throws ERR_INVALID_ARG when `BUSYBODY_ADDRESS` is no address.
 */
export const DEFAULT_ADDRESS: string;

/** "awesome". The first line of the original README keeps working. */
export function awesome(): 'awesome';

// ---------------------------------------------------------------------------------------------------------- errors

/**
 * An `Error` with a stable `code`. Match on `code`; the message is for people and may change.
 * Errors of the operating system keep its own codes instead (EADDRINUSE, EACCES, ENOENT, …).
 */
export class BusybodyError extends Error {
  /** Why it failed; see {@link ErrorCode} for the meaning of each. */
  readonly code: ErrorCode;
}

/**
 * What can go wrong, by name.
 *
 * | code | meaning |
 * |---|---|
 * | `ERR_UNKNOWN_NODE` | nobody has that id on the bus (message starts with "unknown-node") |
 * | `ERR_DUPLICATE_NODE` | the id is taken (message starts with "duplicate-node") |
 * | `ERR_NO_LISTENER` | the node is there, but nothing listens for that event |
 * | `ERR_NO_METHOD` | the bridge has no such rpc method |
 * | `ERR_NODE_LEFT` | the other side left or died before it replied or acknowledged; it may have heard |
 * | `ERR_TIMEOUT` | no reply within `replyTimeout` |
 * | `ERR_NO_BRIDGE` | the first connection failed `maxConnectionAttempts` times |
 * | `ERR_CLOSED` | the node has left, or the bus was closed |
 * | `ERR_QUEUE_FULL` | `maxPending` bytes are waiting already |
 * | `ERR_TOO_LARGE` | the message exceeds `maxMessage` |
 * | `ERR_RESERVED_EVENT` | 'error', 'close', … cannot be sent to another process; thrown at once, as TypeError |
 * | `ERR_INVALID_TARGET` | not "node:event"; thrown at once, as TypeError |
 * | `ERR_INVALID_ARG` | an argument or option of the wrong type or range; thrown at once, as TypeError |
 * | `ERR_UNSERIALIZABLE` | an argument cannot be serialized, the message says which: a TypeError, thrown at once; of `request` and `call` a rejection |
 * | `ERR_PROTOCOL` | the other side does not speak the protocol, or speaks a version that we do not; or rejects this message |
 * | `ERR_UNAUTHORIZED` | wrong uid, token or certificate |
 * | `ERR_INSECURE` | refuses to listen beyond this machine without token or TLS |
 * | `ERR_SLOW_NODE` | cut off: read nothing for `stallTimeout` while others waited; in 'disconnect', it rejoins by itself |
 * | `ERR_REPLACED` | another process of the same user took the id over |
 * | `ABORT_ERR` | the signal given to {@link Node.with} was aborted |
 */
export type ErrorCode =
  | 'ERR_UNKNOWN_NODE'
  | 'ERR_DUPLICATE_NODE'
  | 'ERR_NO_LISTENER'
  | 'ERR_NO_METHOD'
  | 'ERR_NODE_LEFT'
  | 'ERR_TIMEOUT'
  | 'ERR_NO_BRIDGE'
  | 'ERR_CLOSED'
  | 'ERR_QUEUE_FULL'
  | 'ERR_TOO_LARGE'
  | 'ERR_RESERVED_EVENT'
  | 'ERR_INVALID_TARGET'
  | 'ERR_INVALID_ARG'
  | 'ERR_UNSERIALIZABLE'
  | 'ERR_PROTOCOL'
  | 'ERR_UNAUTHORIZED'
  | 'ERR_INSECURE'
  | 'ERR_SLOW_NODE'
  | 'ERR_REPLACED'
  | 'ABORT_ERR';

/**
 * What listeners for 'error' and the like get: a {@link BusybodyError}, or an error of the operating system.
 * `code` is an {@link ErrorCode} or the system's own, such as 'EADDRINUSE'.
 */
export interface BusError extends Error {
  readonly code: any;
}

/** Called once: without an error when it is ready, with one when it will not be. */
export type ReadyCallback = (err?: Error | null) => void;

// --------------------------------------------------------------------------------------------------------- options

/**
 * Where the bus is. Give one of: `url`, `path`, `host` and/or `port`. With none of them: {@link DEFAULT_ADDRESS}.
 */
export interface Address {
  /**
   * `unix:///run/app.sock` · `unix:app.sock` (in the working directory of now) · `tcp://127.0.0.1:8221` · `tcp://[::1]:8221` · `tls://host:8221` · `nats://host:4222`
   */
  url?: string | undefined;
  /**
   * Unix socket path; at most 107 bytes (103 on macOS), on Linux also longer with a file name of at most 82 bytes. A relative
   * one means the working directory of now.
   */
  path?: string | undefined;
  /** Name or IP address; a bridge listens on all addresses of a name, a node tries them in turn. Default 127.0.0.1. */
  host?: string | undefined;
  /** TCP port. Default {@link DEFAULT_PORT} when a host is given. 0: any free port (bridge only). */
  port?: number | undefined;
}

/** Bounds of what one peer may make this process hold. */
export interface Limits {
  /** Bytes of one message, its attachments included; more is ERR_TOO_LARGE. Default 64 MiB (67 108 864). */
  maxMessage?: number | undefined;
  /**
   * Bytes that may wait: on a bridge for one node, in a node for all receivers together (more is ERR_QUEUE_FULL).
   * Default 64 MiB (67 108 864).
   */
  maxPending?: number | undefined;
  /** Milliseconds a peer may read nothing while others wait for it, before it is cut (ERR_SLOW_NODE). Default 10 000. */
  stallTimeout?: number | undefined;
}

/** Settings of a {@link Bridge}. Options that it does not know are named once in a process warning. */
export interface BridgeOptions extends Address, Limits {
  /**
   * Milliseconds a node that lost its link keeps its place and its messages; and those that a bridge which takes over
   * from another waits for its nodes. Default 5 000.
   */
  resumeTimeout?: number | undefined;
  /** File mode of the Unix socket. Default 0o600: this user alone. */
  mode?: number | undefined;
}

/** Settings of a {@link Node}. Options that it does not know are named once in a process warning. */
export interface NodeOptions extends Address, Limits {
  /** Its name on the bus: no ':', at most 255 bytes of UTF-8. Default a UUID. */
  id?: string | undefined;
  /**
   * What to do when another node has the id. 'fail' (default): ERR_DUPLICATE_NODE. 'wait': join when it is free, for a
   * process that is started before the one it follows has ended. 'replace': take it over from a process of the same user,
   * which gets 'error' ERR_REPLACED; on a Unix socket only, where the kernel tells the user, else as 'fail'.
   */
  onTaken?: 'fail' | 'wait' | 'replace' | undefined;
  /** Called at the first connection, or with the error that prevents it. */
  onConnect?: ReadyCallback | undefined;
  /** Tries for the FIRST connection. Default 5. Afterwards a lost link is retried until {@link Node.leave}. */
  maxConnectionAttempts?: number | undefined;
  /**
   * 'auto': when no bridge is alive at the address, this process hosts it, and takes over when the host dies or
   * leaves; of several one does. 'require': there must be one. Default: 'auto' when no address is given, else 'require'.
   */
  bridge?: 'auto' | 'require' | undefined;
  /** Milliseconds until a missing reply is ERR_TIMEOUT. Default 30 000; 0: for ever. */
  replyTimeout?: number | undefined;
  /**
   * How arguments travel; any node reads all three.
   *
   * - 'values' (default): they arrive as they were sent, plain data at JSON's speed: bytes, Errors, Date, Map, Set, BigInt,
   *   undefined, NaN, -0, RegExp, URL, holes, cycles, shared references. `toJSON` is honoured; objects of other classes
   *   arrive as plain objects; functions that are properties are left out. What cannot travel is ERR_UNSERIALIZABLE, whose
   *   message names the path.
   * - 'json': what JSON.stringify makes of them, with bytes and Errors as they are.
   * - 'advanced': structured clone, which only the same engine reads (Node.js and Deno, or Bun).
   *
   * A reply is written the way its question came.
   */
  serialization?: 'values' | 'json' | 'advanced' | undefined;
}

/** Settings for the calls made through {@link Node.with}. */
export interface CallOptions {
  /** Milliseconds until a missing reply is ERR_TIMEOUT, instead of the node's `replyTimeout`. 0: for ever. */
  timeout?: number | undefined;
  /**
   * Milliseconds that the receiver, and its listener for the event, may be late: `request` and `publish` keep the message
   * until then, at most `maxPending` bytes of them. After that it is sent all the same, and fails with ERR_UNKNOWN_NODE or
   * ERR_NO_LISTENER. `timeout` begins when it is sent. Default 0.
   */
  wait?: number | undefined;
  /** Ends the waiting: the call fails with ABORT_ERR at once, and a reply that comes later is dropped. */
  signal?: AbortSignal | undefined;
}

/** What to wait for with {@link Node.waitFor}. */
export interface WaitOptions {
  /** An event that the node has to listen for. */
  event?: string | undefined;
  /** Milliseconds until ERR_TIMEOUT. Default: the node's `replyTimeout`; 0: for ever. */
  timeout?: number | undefined;
  /** Ends the waiting with ABORT_ERR. */
  signal?: AbortSignal | undefined;
}

/** How to {@link Node.leave}. */
export interface LeaveOptions {
  /** Milliseconds for handlers to finish and receivers to take what was sent. Default 5 000. */
  timeout?: number | undefined;
}

// ---------------------------------------------------------------------------------------------------------- events

/** What a remote event's listener gets as its last argument. Call it to reply (directed events). */
export interface Reply {
  /**
   * Sends the reply; only the first call counts. `reply(err)` rejects the other side's `request`, `reply(value)` and
   * `reply(null, value)` resolve it; a `publish` callback gets the arguments as they are. Errors arrive as Errors.
   */
  (...args: any[]): void;
  /** Id of the node that sent the event. */
  readonly from: string;
  /** The event's name. */
  readonly event: string;
  /** Whether it went to every node that listens; nobody waits for a reply then. */
  readonly broadcast: boolean;
}

/** What a handler given to {@link Node.serve} or {@link Bridge.serve} gets first. */
export interface Context<Event extends string = string> {
  /** Id of the node that sent the event; of this node for one that was emitted here. */
  readonly from: string;
  /** The event's or method's name. */
  readonly event: Event;
  /** Whether it went to every node that listens; nobody waits for an answer then. */
  readonly broadcast: boolean;
  /**
   * Aborts when nobody waits for the answer any more. Its `reason` is a {@link BusybodyError}: ABORT_ERR, the asker gave up;
   * ERR_TIMEOUT, its time is up; ERR_NODE_LEFT, it left or died; ERR_CLOSED, this side has left.
   */
  readonly signal: AbortSignal;
  /** When the asker stops waiting, as `Date.now()` counts; null: never, or nobody waits. */
  readonly deadline: number | null;
}

/** A node on the bus. */
export interface NodeInfo {
  /** Its name. */
  id: string;
  /** Its process, where the kernel tells (Unix sockets). */
  pid?: number;
  /** Its user, where the kernel tells (Unix sockets). */
  uid?: number;
  /** Where its link comes from. */
  address?: string;
  /** When it joined, in milliseconds since 1970 as `Date.now()` counts. */
  since: number;
}

/** A message without a callback that could not be delivered. */
export interface Undeliverable {
  /** As it was sent: "node:event", or the method of an rpc. */
  target: string;
  /** The event's name. */
  event: string;
  /**
   * Why: an {@link ErrorCode}. With ERR_NODE_LEFT (the receiver is gone) and ERR_CLOSED (this node is) it may have
   * arrived.
   */
  code: any;
}

/** A call of an rpc method that has no handler; answer it with `response`. */
export interface RpcCall {
  /** Who called, under the name that the original's listeners read. */
  id: any;
  /** Id of the node that called. */
  from: string;
  /** The method's name and the arguments. */
  data: [method: string, args: any];
  /** Sends the reply: `response(null, value)` or `response(err)`. Only the first call counts. */
  response(...args: any[]): void;
}

/** Whose message a handler failed for. */
export interface HandlerFailure {
  /** Id of the node that sent it. */
  from: string;
  /** The event, or the method. */
  event: string;
}

/** The events of a {@link Bridge} and what their listeners get. */
export interface BridgeEvents {
  /** It listens; `url` and `address()` say where. */
  listening: [];
  /** It cannot listen, or lost what it listened on. */
  error: [err: BusError];
  /** The bus has ended. */
  close: [];
  /** A node joined. */
  'node:join': [node: NodeInfo];
  /** A node left, or was given up: 'left', 'died', 'timeout', 'cut' or 'replaced'. */
  'node:leave': [node: NodeInfo, reason: string];
  /** A handler failed for a call without a callback. Without a listener: a process warning, BUSYBODY_HANDLER_FAILED. */
  'handler.error': [err: Error, about: HandlerFailure];
  /** A call of a method that has no handler. Without a listener it fails with ERR_NO_METHOD. */
  rpc: [call: RpcCall];
}

/**
 * The events of a {@link Node} that are not messages, and what their listeners get. None of these names can be sent
 * by another process. Every other event is a message: `(...args, reply)`, where `reply` is a {@link Reply}.
 */
export interface NodeEvents {
  /** Connected, for the first time. */
  connect: [];
  /** The link was lost, and why (ERR_SLOW_NODE: this node was cut off); it is being retried. */
  disconnect: [err?: BusError];
  /** The link is there again; what was not settled has been sent again, once. */
  reconnect: [];
  /** No receiver is full any more, and little is pending: send on after `needDrain`. */
  drain: [];
  /** The bus was ended, with the values given to {@link Bridge.close}. */
  close: [...data: any[]];
  /** {@link Node.leave} was forced. */
  'leave.force': [];
  /** It could not connect, and nobody was told of it otherwise; or it was refused. */
  error: [err: BusError];
  /** One attempt to get the link back failed; there will be another. */
  'error.reconnect': [err: BusError];
  /** A message without a callback could not be delivered. */
  undeliverable: [message: Undeliverable];
  /**
   * A handler failed for a message that nobody waits for: published without a callback, or broadcast. Without a listener:
   * a process warning, BUSYBODY_HANDLER_FAILED.
   */
  'handler.error': [err: Error, about: HandlerFailure];
  /** A node joined the bus. One that comes back in time, or over from another bridge, was there all along. */
  'node:join': [node: NodeInfo];
  /**
   * A node left the bus, or was given up: 'left'; 'died', its process ended; 'timeout', it did not come back within
   * `resumeTimeout`; 'cut', it did not read; 'replaced', another process took its id while its link was broken.
   */
  'node:leave': [node: NodeInfo, reason: string];
}

/** An EventEmitter whose own events are typed; any other name is taken, with arguments of any type. */
declare class TypedEmitter<Events> extends EventEmitter {
  addListener<E extends keyof Events & string>(event: E, listener: Listener<Events[E]>): this;
  addListener(event: string | symbol, listener: (...args: any[]) => void): this;
  on<E extends keyof Events & string>(event: E, listener: Listener<Events[E]>): this;
  on(event: string | symbol, listener: (...args: any[]) => void): this;
  once<E extends keyof Events & string>(event: E, listener: Listener<Events[E]>): this;
  once(event: string | symbol, listener: (...args: any[]) => void): this;
  prependListener<E extends keyof Events & string>(event: E, listener: Listener<Events[E]>): this;
  prependListener(event: string | symbol, listener: (...args: any[]) => void): this;
  prependOnceListener<E extends keyof Events & string>(event: E, listener: Listener<Events[E]>): this;
  prependOnceListener(event: string | symbol, listener: (...args: any[]) => void): this;
}

type Listener<Args> = Args extends any[] ? (...args: Args) => void : never;

// ---------------------------------------------------------------------------------------------------------- bridge

/** Counters of a bridge since it started. */
export interface BridgeStats {
  /** Messages forwarded, one per receiver. */
  delivered: number;
  /** Messages that could not be delivered; their senders were told. */
  undeliverable: number;
  /** Replies that nobody waited for any more. */
  staleReplies: number;
  /** Connections closed because what they sent is not the protocol. */
  rejected: number;
  /** Connections refused because their user does not belong here. */
  unauthorized: number;
  /** Nodes cut because they did not read. */
  cut: number;
  /** Nodes that lost their link and took their place again. */
  resumed: number;
  /** Links that the bridge ended because of an error of the system; their nodes come back on others. */
  broken: number;
}

/**
 * What connects the nodes. It routes on a thread of its own: a process whose event loop is busy delays nobody else.
 * Make one with {@link createBridge}; see {@link BridgeEvents} for its events.
 */
export class Bridge extends TypedEmitter<BridgeEvents> {
  /**
   * Starts to listen. A number is a TCP port on 127.0.0.1, a string with "://" a URL, another string the path of a
   * Unix socket.
   * @throws TypeError ERR_INVALID_ARG that names the wrong option
   */
  constructor(options?: BridgeOptions | number | string, callback?: ReadyCallback);
  constructor(callback?: ReadyCallback);

  /** The address it listens on, as a URL, once 'listening'; null before, and after close. */
  readonly url: string | null;

  /**
   * Settles when it listens, or with the error that the callback gets: EADDRINUSE when a live bridge has the address,
   * EACCES, ENOENT, ENOTDIR, … of the system. Never an unhandledRejection by itself.
   */
  readonly ready: Promise<void>;

  /** Ids and facts of the nodes on the bus. */
  nodes(): NodeInfo[];

  /** What was counted since the bridge started. */
  stats(): BridgeStats;

  /**
   * Answers `node.rpc(method, …)` and `node.call(method, …)`.
   * @param handler gets exactly the arguments; the value it returns or resolves to is the reply, its throw or rejection
   *   the error. One per method: a second throws ERR_INVALID_ARG.
   */
  handle(method: string, handler: (...args: any[]) => any): this;

  /** The same, with the {@link Context} before the arguments. */
  serve(method: string, handler: (context: Context, ...args: any[]) => any): this;

  /**
   * Ends the bus: new calls are refused with ERR_NODE_LEFT, handlers that are at work have five seconds to finish; then every
   * node gets 'close' with these values and does not try to reconnect. Idempotent.
   * @returns settles when all is delivered and the socket is gone
   */
  close(data?: any[]): Promise<void>;

  /** Where it listens, as `net.Server` tells it; null before 'listening'. */
  address(): { path: string } | { address: string; port: number; family: string } | null;

  /** Keeps the process alive while it listens: the default. */
  ref(): this;
  /** Lets the process end though it listens. */
  unref(): this;

  /** `await using bridge = createBridge()`: closes it. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a bridge; see {@link Bridge}.
 *
 * ```js
 * const bridge = createBridge({ path: '/run/app.sock' });
 * bridge.handle('time', () => Date.now());
 * await bridge.ready;
 * ```
 */
export function createBridge(options?: BridgeOptions | number | string, callback?: ReadyCallback): Bridge;
export function createBridge(callback?: ReadyCallback): Bridge;

// ------------------------------------------------------------------------------------------------------- contracts

/**
 * What the processes of a bus say to each other: node ids, their events, and the signature of each. `'*'` holds the
 * broadcasts. With it {@link createNode} checks targets, arguments and replies, and infers them in handlers.
 *
 * ```ts
 * interface Bus {
 *   camera: { snap(size: number): Buffer };
 *   '*': { news(text: string): void };
 * }
 * const node = createNode<Bus>();
 * const picture = await node.request('camera:snap', 640); // a Buffer
 * const camera = createNode<Bus, 'camera'>('camera');     // hears what a camera is asked, and the news
 * camera.handle('snap', (size) => take(size));
 * ```
 */
export type Contract = Record<string, Record<string, (...args: any[]) => any>>;

/** What a {@link Contract} looks like, so that it may be an interface. */
export type ContractShape<C> = { [N in keyof C]: { [E in keyof C[N]]: (...args: any[]) => any } };

/** The ids of a contract. */
export type ContractIds<C> = Exclude<keyof C, '*'> & string;

/** The targets of a contract: "node:event". */
export type ContractTargets<C> = { [N in ContractIds<C>]: `${N}:${keyof C[N] & string}` }[ContractIds<C>];

/** `T` where there is no contract: then everything is taken. */
type Loose<C, T> = 0 extends 1 & C ? T : never;

/** `T` where there is a contract. */
type Strict<C, T> = 0 extends 1 & C ? never : T;

type MemberOf<O, K> = K extends keyof O ? O[K] : never;

/** The broadcasts of a contract. */
type Broadcasts<C> = MemberOf<C, '*'>;

/** The signature of a target. */
type Signature<C, T> = T extends `${infer N}:${infer E}` ? MemberOf<MemberOf<C, N>, E> : never;

type Arguments<F> = F extends (...args: infer A) => any ? A : never;

/** What whoever asks gets. */
type Answer<F> = F extends (...args: any[]) => infer R ? Awaited<R> : never;

/** What a handler may return. */
type Returned<F> = Answer<F> | PromiseLike<Answer<F>>;

/** The events that a node with one of these ids hears: its own, and broadcasts. */
type HeardEvents<C, Id> = ((Id extends keyof C ? keyof C[Id] : never) | keyof Broadcasts<C>) & string;

/** The signature of one of them. */
type Heard<C, Id, E> = (Id extends keyof C ? MemberOf<C[Id], E> : never) | MemberOf<Broadcasts<C>, E>;

type HeardListener<C, Id, E> = (...args: [...Arguments<Heard<C, Id, E>>, Reply]) => void;

type ReplyCallback<F> = (err: Error | null, value: Answer<F>) => void;

// ------------------------------------------------------------------------------------------------------------ node

/**
 * A process's place on the bus (a process may have many). An EventEmitter: messages from other nodes are its events,
 * as `(...args, reply)`. Make one with {@link createNode}; see {@link NodeEvents} for the events of its own.
 *
 * What is sent before it is connected goes out once it is. As long as both processes live every message arrives once
 * and in order, even when links drop, or the bridge is killed and another process takes over.
 *
 * Keep a reference to it: a node that nothing refers to, nothing listens to and no call of which waits leaves the bus when
 * the garbage collector finds it, with a process warning (BUSYBODY_DROPPED) the first time.
 *
 * @typeParam C the {@link Contract} that its messages are checked against; any: none
 * @typeParam Id the ids of it that this node may have. Default: all of them
 */
export class Node<C = any, Id = ContractIds<C>> extends TypedEmitter<NodeEvents> {
  /**
   * Starts to connect: `(options, callback)`, or an id (string), a TCP port on 127.0.0.1 (number) and a callback in
   * any order. A string with "://" is a URL.
   * @throws TypeError ERR_INVALID_ARG that names the wrong option
   */
  constructor(options?: NodeOptions | string | number, ...rest: any[]);
  constructor(callback: ReadyCallback, ...rest: any[]);

  /** Its name on the bus. */
  readonly id: string;
  /** Whether its link is up. */
  readonly connected: boolean;
  /** Whether this process hosts the bridge (`bridge: 'auto'`). */
  readonly hosting: boolean;

  /**
   * Settles at the first connection, or with the error that onConnect gets: ERR_NO_BRIDGE, ERR_DUPLICATE_NODE,
   * ERR_UNAUTHORIZED, ERR_PROTOCOL. Never an unhandledRejection by itself.
   */
  readonly ready: Promise<void>;

  /**
   * Sends an event to one node.
   *
   * ```js
   * node.publish('printer:job', { pages: 3 }, (err, ticket) => …);
   * ```
   *
   * @param target "node:event", parted at the first ':'; the event has at most 1024 bytes of UTF-8
   * @param argsAndCallback values for the listener; if the last is a function it gets the reply's arguments, or
   *   `(err)`, exactly once. Without it, what cannot be delivered is the event 'undeliverable'.
   * @throws TypeError ERR_INVALID_TARGET, ERR_RESERVED_EVENT, ERR_UNSERIALIZABLE
   */
  publish(target: Loose<C, string>, ...argsAndCallback: any[]): this;
  publish<T extends Strict<C, ContractTargets<C>>>(
    target: T,
    ...argsAndCallback: Arguments<Signature<C, T>> | [...Arguments<Signature<C, T>>, ReplyCallback<Signature<C, T>>]
  ): this;

  /**
   * Sends an event to one node and waits for its reply: the value of `reply(value)` or `reply(null, value)`, or a
   * handler's return value.
   *
   * ```js
   * const user = await node.request<User>('users:find', 42);
   * ```
   *
   * @returns rejects with the error replied, or with ERR_UNKNOWN_NODE, ERR_NO_LISTENER, ERR_NODE_LEFT, ERR_TIMEOUT,
   *   ERR_CLOSED, ERR_QUEUE_FULL, ERR_TOO_LARGE; its stack points at this call
   * @throws TypeError at once, not as a rejection: ERR_INVALID_TARGET, ERR_RESERVED_EVENT. Data that cannot be serialized are a
   *   rejection: ERR_UNSERIALIZABLE
   */
  request<T = any>(target: Loose<C, string>, ...args: any[]): Promise<T>;
  request<T extends Strict<C, ContractTargets<C>>>(
    target: T,
    ...args: Arguments<Signature<C, T>>
  ): Promise<Answer<Signature<C, T>>>;

  /**
   * Sends an event to every other node that listens for it.
   * @throws TypeError ERR_RESERVED_EVENT, ERR_INVALID_ARG, ERR_UNSERIALIZABLE
   */
  broadcast(event: Loose<C, string>, ...args: any[]): this;
  broadcast<E extends Strict<C, keyof Broadcasts<C> & string>>(
    event: E,
    ...args: Arguments<MemberOf<Broadcasts<C>, E>>
  ): this;

  /**
   * Calls a method of the bridge's process ({@link Bridge.handle}).
   * @param argsAndCallback as for {@link Node.publish}; ERR_NO_METHOD when nothing answers to that name
   */
  rpc(method: string, ...argsAndCallback: any[]): this;

  /** As {@link Node.rpc}, with the reply as a promise; it rejects as {@link Node.request} does, or with ERR_NO_METHOD. */
  call<T = any>(method: string, ...args: any[]): Promise<T>;

  /**
   * Answers an event: a listener that gets exactly the arguments that were sent, and whose return value or promise is the
   * reply, its throw or rejection the error. One per event: a second throws ERR_INVALID_ARG; `off(event, handler)` makes
   * room.
   *
   * ```js
   * node.handle('sum', (a, b) => a + b);
   * ```
   */
  handle(event: Loose<C, string>, handler: (...args: any[]) => any): this;
  handle<E extends Strict<C, HeardEvents<C, Id>>>(
    event: E,
    handler: (...args: Arguments<Heard<C, Id, E>>) => Returned<Heard<C, Id, E>>,
  ): this;

  /**
   * The same, with the {@link Context} before the arguments.
   *
   * ```js
   * node.serve('fetch', ({ signal }, url) => fetch(url, { signal }).then((response) => response.text()));
   * ```
   */
  serve(event: Loose<C, string>, handler: (context: Context, ...args: any[]) => any): this;
  serve<E extends Strict<C, HeardEvents<C, Id>>>(
    event: E,
    handler: (context: Context<E>, ...args: Arguments<Heard<C, Id, E>>) => Returned<Heard<C, Id, E>>,
  ): this;

  /**
   * The same node, with other settings for the calls made through it.
   *
   * ```js
   * await node.with({ timeout: 500, signal }).request('slow:job');
   * ```
   */
  with(options: CallOptions): Pick<Node<C, Id>, 'request' | 'call' | 'publish' | 'rpc'>;

  /**
   * Settles when the node is on the bus and, if an event is given, listens for it: at once when it does.
   * @returns rejects with ERR_TIMEOUT, ABORT_ERR, ERR_CLOSED
   * @throws TypeError ERR_INVALID_ARG, ERR_RESERVED_EVENT
   */
  waitFor(id: string, options?: WaitOptions): Promise<NodeInfo>;

  /**
   * Ids and facts of all nodes on the bus by id, this one too. Rejects as {@link Node.request} does. A list that exceeds
   * this node's `maxMessage` comes in parts; whoever joins or leaves between them may be in it or not.
   */
  nodes(): Promise<NodeInfo[]>;

  /** Bytes handed over and not yet settled by the receivers; each message counts 64 besides its own. */
  readonly pending: number;
  /**
   * Whether it is time to wait for 'drain' before sending more: more than 2 MiB are pending for one receiver, or half of
   * `maxPending` in all.
   */
  readonly needDrain: boolean;
  /**
   * Writes now what was sent since this tick began. By itself that happens once, at the end of the tick, which serves all
   * messages of the tick with one write: call this only before a long synchronous stretch. Without a link it does nothing.
   */
  flush(): this;

  /**
   * Leaves the bus. New questions are refused with ERR_NODE_LEFT from now on; handlers that are at work finish and reply, and
   * may send until then; everything sent is delivered, over another link if this one breaks. What is not settled after
   * `timeout` is 'undeliverable' with ERR_CLOSED. Idempotent. A handler that awaits this itself is not waited for.
   * @param how `{ timeout }`: milliseconds for all of that, default 5 000. true: at once, with 'leave.force': what is not
   *   delivered yet is given up, and calls without a reply fail with ERR_CLOSED
   * @throws TypeError ERR_INVALID_ARG
   */
  leave(how?: boolean | LeaveOptions): Promise<void>;

  /**
   * Nothing that others send is emitted until `resume()`; replies still come. What comes meanwhile is put aside, and
   * acknowledged when it is emitted: each sender waits when 4 MiB of what it sent are put aside, and learns it if the node
   * ends before. `events.on(node, event, { highWaterMark, lowWaterMark })` calls both; when its loop is left, the node
   * flows.
   */
  pause(): this;
  /**
   * Emits what was put aside, in order, unless a listener pauses again; then goes on. It begins after the current tick,
   * and lets the event loop go round every few milliseconds.
   */
  resume(): this;

  on<E extends keyof NodeEvents & string>(event: E, listener: Listener<NodeEvents[E]>): this;
  on<E extends Strict<C, HeardEvents<C, Id>>>(event: E, listener: HeardListener<C, Id, E>): this;
  on(event: string | symbol, listener: (...args: any[]) => void): this;
  once<E extends keyof NodeEvents & string>(event: E, listener: Listener<NodeEvents[E]>): this;
  once<E extends Strict<C, HeardEvents<C, Id>>>(event: E, listener: HeardListener<C, Id, E>): this;
  once(event: string | symbol, listener: (...args: any[]) => void): this;

  /** Keeps the process alive while connected: the default. */
  ref(): this;
  /** Lets the process end though it is connected. */
  unref(): this;

  /** `await using node = createNode()`: leaves the bus. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Joins the bus; see {@link Node}. Takes options, or as ever an id, a port and a callback in any order.
 *
 * ```js
 * createNode();                                // this user's bus, hosted by whoever comes first
 * createNode('worker-1');                      // the same, with a name
 * createNode({ id: 'worker-1', path: '/run/app.sock' });
 * createNode('worker-1', 9003, (err) => …);    // the bridge on TCP port 9003 of this machine
 * ```
 */
export function createNode(options?: NodeOptions | string | number, ...rest: any[]): Node;
export function createNode(callback: ReadyCallback, ...rest: any[]): Node;
/** The same, with a {@link Contract} that checks what is sent, asked and answered. */
export function createNode<C extends ContractShape<C>, Id extends ContractIds<C> = ContractIds<C>>(
  options?: NodeOptions | string | number,
  ...rest: any[]
): Node<C, Id>;
