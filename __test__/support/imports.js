'use strict';

// Who imports whom, read from the sources of this project: files as paths below its root, an import as a pair of them.

const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..', '..');

/** All files below `folders`, or the files themselves, whose names `pattern` fits. */
function filesOf(folders, pattern) {
  return folders.flatMap((name) => {
    const full = path.join(ROOT, name);
    if (!fs.statSync(full).isDirectory()) return [name];
    return fs
      .readdirSync(full, { recursive: true })
      .map((file) => path.join(name, file))
      .filter((file) => pattern.test(file) && !/\bnode_modules\b/.test(file));
  });
}

/** JavaScript: `require('./…')` and `import … from './…'` of files of this project. A Map of file to the files it imports. */
function javascript(...folders) {
  return new Map(
    filesOf(folders, /\.[cm]?js$/).map((file) => {
      const text = fs.readFileSync(path.join(ROOT, file), 'utf8');
      const names = [...text.matchAll(/(?:\brequire\(|\bfrom |\bimport\()'(\.[^']*)'/g)].map((match) => match[1]);
      const found = names.map((name) => path.resolve(ROOT, path.dirname(file), name)).filter((name) => !/\.(node|json)$/.test(name));
      return [file, [...new Set(found.map((name) => path.relative(ROOT, require.resolve(name))))]];
    }),
  );
}

/**
 * Rust: each path that begins with `crate` or `super`, in a `use` or elsewhere, as the file of the deepest module it names.
 * Modules of tests are left out, and so is what a module passes on of its children by `pub use`. A Map of file to the files
 * it imports.
 */
function rust(folder, isTest) {
  const files = filesOf([folder], /\.rs$/).filter((file) => !isTest(file));
  const modules = new Map(files.map((file) => [moduleOf(file, folder).join('::'), file]));
  return new Map(
    files.map((file) => {
      const own = moduleOf(file, folder);
      const paths = pathsOf(code(fs.readFileSync(path.join(ROOT, file), 'utf8')), own);
      const found = paths.map((names) => modules.get(deepest(names, modules))).filter((other) => other !== file);
      return [file, [...new Set(found)]];
    }),
  );
}

function moduleOf(file, folder) {
  const names = path.relative(folder, file).replace(/\.rs$/, '').split(path.sep);
  return names.at(-1) === 'mod' || names.at(-1) === 'lib' ? names.slice(0, -1) : names;
}

function deepest(names, modules) {
  for (let count = names.length; count > 0; count -= 1) {
    const module = names.slice(0, count).join('::');
    if (modules.has(module)) return module;
  }
  return '';
}

/** A source without its comments and without what is compiled for tests only. */
function code(text) {
  const bare = text.replaceAll(/\/\/.*/g, '').replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
  return bare.replaceAll(/#\[cfg\(test\)\]\s*(?:(?:pub )?use [^;]*;|mod \w+ \{[^]*)/g, '');
}

/** The paths in `text`, a file of the module `own`, each as the names from the crate's root on. */
function pathsOf(text, own) {
  const found = [];
  for (const match of text.matchAll(/\b(?:crate|super)\s*::\s*/g)) {
    // Of `super::super::x` the first `super` has told all.
    if (/::\s*$/.test(text.slice(0, match.index))) continue;
    for (const names of expand(text.slice(match.index))) {
      const ups = names.findIndex((name) => name !== 'super');
      found.push(names[0] === 'crate' ? names.slice(1) : [...own.slice(0, own.length - ups), ...names.slice(ups)]);
    }
  }
  return found;
}

/** `a::{b, c::d}` at the beginning of `text` as [[a, b], [a, c, d]]. */
function expand(text) {
  const tree = /^(?:\w+\s*::\s*)*/.exec(text)[0];
  const names = tree.split('::').map((name) => name.trim()).filter(Boolean);
  const rest = text.slice(tree.length);
  if (!rest.startsWith('{')) return [[...names, /^\w*/.exec(rest)[0]]];
  return parts(rest).flatMap((part) => expand(part).map((more) => [...names, ...more]));
}

/** What stands between the commas of the braces that `text` begins with. */
function parts(text) {
  const found = [];
  let depth = 0;
  let start = 1;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (char === '{') depth += 1;
    if (char === '}') depth -= 1;
    if (depth === 0 || (depth === 1 && char === ',')) {
      found.push(text.slice(start, at).trim());
      start = at + 1;
    }
    if (depth === 0) return found.filter(Boolean);
  }
  throw new Error(`braces that do not end: ${text.slice(0, 60)}`);
}

/** Groups of files that import each other round, each sorted: the strongly connected parts of `graph` (Tarjan, 1972). */
function circles(graph) {
  const seen = new Map();
  const open = [];
  const found = [];
  const visit = (file) => {
    const entry = { number: seen.size, low: seen.size, open: true };
    seen.set(file, entry);
    open.push(file);
    for (const other of graph.get(file) ?? []) {
      const known = seen.get(other) ?? visit(other);
      if (known.open) entry.low = Math.min(entry.low, known.low);
    }
    if (entry.low === entry.number) {
      const circle = open.splice(open.indexOf(file));
      for (const member of circle) seen.get(member).open = false;
      if (circle.length > 1) found.push(circle.sort());
    }
    return entry;
  };
  for (const file of graph.keys()) if (!seen.has(file)) visit(file);
  return found.sort((a, b) => (a[0] < b[0] ? -1 : 1));
}

module.exports = { circles, javascript, rust };
