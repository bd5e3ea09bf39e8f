'use strict';

// Values made up from a seed: of every kind that arrives as it was sent, nested, shared and in cycles.

/** A small generator of 32-bit numbers (mulberry32): the same seed makes the same values on every engine. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

class Maker {
  #next;
  /** Objects made before, to be referred to again. */
  #objects = [];
  #left;

  /** `plain`: what JSON carries and nothing else. */
  constructor(seed, { plain = false, size = 60 } = {}) {
    this.#next = random(seed);
    this.plain = plain;
    this.#left = size;
  }

  arguments() {
    return this.#list(4, () => this.value());
  }

  value() {
    if (this.#left-- <= 0) return this.#scalar();
    if (this.#pick(3) === 0) return this.#scalar();
    if (!this.plain && this.#objects.length > 0 && this.#pick(6) === 0) return this.#objects[this.#pick(this.#objects.length)];
    return this.#container();
  }

  #container() {
    switch (this.#pick(this.plain ? 2 : 7)) {
      case 0: return this.#fill([], (list) => list.push(this.value()));
      case 1: return this.#fill({}, (object) => define(object, this.#string(), this.value()));
      case 2: return this.#fill(new Map(), (map) => map.set(this.value(), this.value()));
      case 3: return this.#fill(new Set(), (set) => set.add(this.value()));
      case 4: return this.#fill([], (list) => (list[list.length + this.#pick(3)] = this.value()), (list) => (list.length += this.#pick(3)));
      case 5: return this.#fill(this.#error(), (error) => define(error, `p${this.#string()}`, this.value()));
      default: return this.#remember(this.#leaf());
    }
  }

  #scalar() {
    const plain = [
      () => this.#string(), () => this.#number(), () => this.#next() % 1000, () => true, () => false, () => null,
    ];
    const others = [
      () => undefined, () => NaN, () => Infinity, () => -Infinity, () => -0, () => BigInt(this.#next()) ** BigInt(this.#pick(5)),
      () => -BigInt(this.#next()),
    ];
    const kinds = this.plain ? plain : [...plain, ...others];
    return kinds[this.#pick(kinds.length)]();
  }

  #leaf() {
    const bytes = Uint8Array.from(this.#list(20, () => this.#pick(256)));
    const kinds = [
      () => new Date(this.#next() * 1000 - 2 ** 41), () => new RegExp(['a', '[/\\n]', '\\/', 'ü+'][this.#pick(4)], ['', 'g', 'iu', 'sy'][this.#pick(4)]),
      () => new URL(`http://host/${encodeURIComponent(this.#string().toWellFormed?.() ?? 'x')}`), () => Buffer.from(bytes), () => bytes.slice(), () => bytes.slice().buffer,
      () => new Float64Array([this.#number(), NaN]), () => new BigInt64Array([BigInt(this.#next())]), () => new DataView(bytes.slice().buffer),
    ];
    return kinds[this.#pick(kinds.length)]();
  }

  #error() {
    const Type = [Error, TypeError, RangeError][this.#pick(3)];
    return new Type(this.#string(), this.#pick(2) === 0 ? { cause: this.#scalar() } : undefined);
  }

  /** A container that is known before it is filled, so that what is inside may refer to it. */
  #fill(container, add, end = () => {}) {
    this.#remember(container);
    for (let i = this.#pick(5); i > 0; i--) add(container);
    end(container);
    return container;
  }

  #remember(object) {
    this.#objects.push(object);
    return object;
  }

  #string() {
    const parts = ['', 'a', '\0', '\x000', '\0u', '"\\', '\n', 'ü', '日本', '🚌', '\ud800', '__proto__', 'toJSON_', 'constructor', 'x'.repeat(40), '7'];
    return this.#list(3, () => parts[this.#pick(parts.length)]).join('');
  }

  #number() {
    const bits = new DataView(new ArrayBuffer(8));
    bits.setUint32(0, this.#next());
    bits.setUint32(4, this.#next());
    const number = bits.getFloat64(0);
    return Number.isFinite(number) && !Object.is(number, -0) ? number : 1.5;
  }

  #list(most, make) {
    return Array.from({ length: this.#pick(most + 1) }, make);
  }

  #pick(count) {
    return this.#next() % count;
  }
}

function define(object, key, value) {
  Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
}

/**
 * A text that is the same for the same values, whatever engine makes it: kinds, contents, order, holes, and what refers to
 * what. Stacks are left out.
 */
function fingerprint(value) {
  const known = new Map();
  const list = (values) => Array.from(values, show).join();
  const props = (object) => Object.keys(object).map((key) => `${JSON.stringify(key)}:${show(object[key])}`).join();

  function show(each) {
    if (typeof each === 'string') return JSON.stringify(each);
    if (typeof each !== 'object' || each === null) return Object.is(each, -0) ? '-0' : `${typeof each} ${String(each)}`;
    if (known.has(each)) return `#${known.get(each)}`;
    known.set(each, known.size);
    return `#${known.size - 1} ${inside(each)}`;
  }

  function inside(each) {
    if (Array.isArray(each)) return `[${each.length}:${props(each)}]`;
    if (each instanceof Map) return `Map{${list(Array.from(each).flat())}}`;
    if (each instanceof Set) return `Set{${list(each)}}`;
    if (each instanceof Date) return `Date ${each.getTime()}`;
    if (each instanceof RegExp || each instanceof URL) return `${each.constructor.name} ${String(each)}`;
    if (each instanceof Error) return `${each.name} ${JSON.stringify(each.message)} ${show(each.cause)}{${props(each)}}`;
    if (Buffer.isBuffer(each)) return `Buffer ${each.toString('hex')}`;
    if (each instanceof ArrayBuffer) return `ArrayBuffer ${Buffer.from(each).toString('hex')}`;
    if (ArrayBuffer.isView(each)) return `${each.constructor.name} ${Buffer.from(each.buffer, each.byteOffset, each.byteLength).toString('hex')}`;
    return `{${props(each)}}`;
  }

  return show(value);
}

module.exports = { Maker, fingerprint };
