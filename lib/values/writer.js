'use strict';

// Values on their way into text: a copy of the arguments in which JSON finds nothing that it cannot write, with tags for
// what it has no words for (tags.js) and attachments for what is not text or stands in more than one place.

const { types } = require('node:util');
const { TEXT_KIND } = require('./attachments.js');
const { KIND, hrefOf, isPlain, kindOf, nounOf } = require('./kinds.js');
const { entryStep, memberStep } = require('./path.js');
const { describeError } = require('./remote-error.js');
const { UNDEFINED, escape, tagAttachment, tagBigInt, tagDate, tagHoles, tagNumber, tagRegExp, tagUrl } = require('./tags.js');
const { Trail } = require('./trail.js');

const [mapEntries, setValues] = [Map.prototype.entries, Set.prototype.values];
const getTime = Date.prototype.getTime;

class ValueWriter {
  #attachments;
  /**
   * What was met, by object: its copy, the place of the copy, the index of its attachment or -1, and whether it was met
   * below an error.
   */
  #met = new Map();
  #trail = new Trail();

  constructor(attachments) {
    this.#attachments = attachments;
  }

  /** The copy of the arguments. Throws ERR_UNSERIALIZABLE, which names the path. */
  write(args) {
    const copy = [];
    try {
      for (let i = 0; i < args.length; i++) this.#append(copy, args[i], i);
    } catch (cause) {
      throw this.#trail.failure(cause);
    }
    return copy;
  }

  /** The placeholder of an error, for another writer's text. Never throws. */
  writeError(error) {
    return this.#met.has(error) ? this.#again(this.#met.get(error)) : this.#writeError(error);
  }

  /** Adds the copy of `value` to a copied list; `step` is the way to it from the value that holds it. */
  #append(list, value, step) {
    const at = list.length;
    list[at] = this.#step(value, list, at, step);
  }

  /** `holder[key]` is where the copy will stand. */
  #step(value, holder, key, step) {
    this.#trail.enter(step);
    const copy = this.#copy(value, holder, key);
    this.#trail.leave();
    return copy;
  }

  #copy(value, holder, key) {
    switch (typeof value) {
      case 'string': return escape(value);
      case 'boolean': return value;
      case 'number': return tagNumber(value);
      case 'undefined': return UNDEFINED;
      case 'bigint': return tagBigInt(value);
      case 'object': return value === null ? null : this.#copyObject(value, holder, key);
      default: return this.#trail.refuse(nounOf(value));
    }
  }

  #copyObject(value, holder, key) {
    const met = this.#met.get(value);
    // What was cut for an error's sake is not good enough elsewhere.
    if (met !== undefined && (!met.detail || this.#trail.belowError || !this.#trail.hasCut)) return this.#again(met);
    const kind = kindOf(value);
    if (this.#trail.isEnough(kind)) return this.#trail.mark(`more, beginning with ${nounOf(value)}`);
    if (kind === KIND.ERROR) return this.#writeError(value);
    const entry = { copy: undefined, holder, key, index: -1, detail: this.#trail.belowError };
    this.#met.set(value, entry);
    const copy = this.#copyAs(kind, value, entry);
    // While it was copied something inside may have referred to it.
    return entry.index === -1 ? copy : tagAttachment(entry.index);
  }

  #copyAs(kind, value, entry) {
    switch (kind) {
      case KIND.DATA:
      case KIND.ARRAY:
        if (typeof value.toJSON === 'function') return this.#copyMade(value, entry);
        return this.#copyData(kind, value, entry);
      case KIND.BYTES: return this.#attach(entry, this.#attachments.addBytes(value));
      case KIND.MAP: return this.#copyMap(value, entry);
      case KIND.SET: return this.#copySet(value, entry);
      case KIND.DATE: return (entry.copy = tagDate(getTime.call(value)));
      case KIND.REGEXP: return (entry.copy = tagRegExp(value.source, value.flags));
      case KIND.URL: return (entry.copy = tagUrl(hrefOf(value)));
      case KIND.BOXED: return (entry.copy = this.#copy(unbox(value)));
      default: return this.#forget(value, nounOf(value));
    }
  }

  /** What toJSON has made, which is not asked again. */
  #copyMade(value, entry) {
    const made = value.toJSON(String(entry.key));
    if (made === value) return this.#copyData(Array.isArray(value) ? KIND.ARRAY : KIND.DATA, value, entry);
    if (typeof made !== 'object' || made === null) return (entry.copy = this.#copy(made, entry.holder, entry.key));
    const kind = kindOf(made);
    if (isData(kind) && !this.#met.has(made)) return this.#copyData(kind, made, entry);
    this.#met.delete(value); // what stands for it is known by another object
    return this.#copyObject(made, entry.holder, entry.key);
  }

  #copyData(kind, value, entry) {
    return kind === KIND.ARRAY ? this.#copyArray(value, entry) : this.#copyProperties(value, entry);
  }

  #copyArray(array, entry) {
    const copy = (entry.copy = []);
    for (let i = 0; i < array.length; i++) {
      const item = this.#trail.read(array, i);
      if (item === undefined && !Object.hasOwn(array, i)) return this.#copySparse(array, i, copy);
      this.#append(copy, item, i);
    }
    return copy;
  }

  /** The rest of an array with holes, which may be far longer than what is in it. */
  #copySparse(array, from, copy) {
    let at = from;
    for (const key of Object.keys(array)) {
      const index = Number(key);
      if (!(index >= at && index < array.length) || String(index) !== key) continue;
      if (index > at) copy.push(tagHoles(index - at));
      this.#append(copy, this.#trail.read(array, index), index);
      at = index + 1;
    }
    if (at < array.length) copy.push(tagHoles(array.length - at));
    return copy;
  }

  #copyProperties(object, entry) {
    const copy = (entry.copy = {});
    let empty = true;
    for (const key of Object.keys(object)) {
      this.#trail.enter(key);
      const value = this.#trail.read(object, key);
      if (typeof value !== 'function') { // those are left out, as JSON does
        put(copy, key, this.#copy(value, copy, key));
        empty = false;
      }
      this.#trail.leave();
    }
    if (empty && !isPlain(object)) return this.#forget(object, `${nounOf(object)} without any property that can travel`);
    return copy;
  }

  #copyMap(map, entry) {
    const list = [];
    entry.copy = list;
    this.#attach(entry, this.#attachments.addText(TEXT_KIND.MAP, entry));
    for (const [key, value] of mapEntries.call(map)) {
      this.#append(list, key, memberStep(list.length / 2));
      this.#append(list, value, entryStep(key));
    }
    return tagAttachment(entry.index);
  }

  #copySet(set, entry) {
    const list = [];
    entry.copy = list;
    this.#attach(entry, this.#attachments.addText(TEXT_KIND.SET, entry));
    for (const value of setValues.call(set)) this.#append(list, value, memberStep(list.length));
    return tagAttachment(entry.index);
  }

  #writeError(error) {
    const description = {};
    const entry = { copy: description, holder: null, key: '', index: -1, detail: false };
    this.#met.set(error, entry);
    this.#attach(entry, this.#attachments.addText(TEXT_KIND.ERROR, entry));
    this.#trail.enterError();
    describeError(error, description, (value, holder, key) => {
      return this.#trail.detail(key, () => this.#copy(value, holder, key));
    });
    this.#trail.leaveError();
    return tagAttachment(entry.index);
  }

  /** Something that stands in one more place: it becomes an attachment, if it is none yet. */
  #again(entry) {
    if (entry.index === -1) {
      entry.index = this.#attachments.addText(TEXT_KIND.SHARED, entry);
      put(entry.holder, entry.key, tagAttachment(entry.index));
    }
    return tagAttachment(entry.index);
  }

  #attach(entry, index) {
    entry.index = index;
    return tagAttachment(index);
  }

  #forget(value, noun) {
    this.#met.delete(value);
    return this.#trail.refuse(noun);
  }
}

function isData(kind) {
  return kind === KIND.DATA || kind === KIND.ARRAY;
}

function unbox(value) {
  if (types.isStringObject(value)) return String(value);
  if (types.isNumberObject(value)) return Number(value);
  return value.valueOf();
}

/** Sets a property; "__proto__" is a key like any other. */
function put(holder, key, value) {
  if (key !== '__proto__') holder[key] = value;
  else Object.defineProperty(holder, key, { value, enumerable: true, writable: true, configurable: true });
}

module.exports = { ValueWriter, put };
