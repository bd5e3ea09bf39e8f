'use strict';

// The documentation as tests see it: its fenced blocks, its links and its headings.

const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..', '..');
const PAGES = ['README.md', 'docs/PROTOCOL.md', 'docs/API.md', 'docs/OPERATIONS.md', 'docs/TESTING.md'];

function read(page) {
  return fs.readFileSync(path.join(ROOT, page), 'utf8');
}

/** The blocks of a page fenced as `language`: { text, line, heading }. */
function blocks(page, language) {
  const found = [];
  let [heading, open] = ['', null];
  read(page).split('\n').forEach((line, i) => {
    const fence = /^```(\w*)/.exec(line);
    if (open !== null && fence !== null) {
      if (open.language === language) found.push({ heading, line: open.line, text: `${open.lines.join('\n')}\n` });
      open = null;
    } else if (fence !== null) open = { language: fence[1], line: i + 1, lines: [] };
    else if (open !== null) open.lines.push(line);
    else if (line.startsWith('#')) heading = line.replace(/^#+ /, '');
  });
  return found;
}

/** What GitHub makes of a page's headings. */
function anchors(page) {
  const headings = read(page).replace(/^```[^]*?^```/gm, '').match(/^#+ .+$/gm) ?? [];
  return headings.map((heading) => heading.replace(/^#+ /, '').toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-'));
}

/** Links within the repository: { file, anchor }, relative to its top folder. */
function links(page) {
  const targets = [...read(page).matchAll(/\]\(([^)\s]+)\)|\b(?:src|href)="([^"]+)"/g)].map(([, link, source]) => link ?? source);
  return targets.filter((target) => !/^[a-z]+:/.test(target)).map((target) => {
    const [file, anchor] = target.split('#');
    return { file: file === '' ? page : path.posix.join(path.posix.dirname(page), file), anchor };
  });
}

module.exports = { PAGES, ROOT, anchors, blocks, links, read };
