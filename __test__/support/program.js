'use strict';

// A program run as a user would: its arguments in, its output and exit code out.

const { spawn } = require('node:child_process');

class Program {
  #waiting = [];

  constructor(command, args, { env, input } = {}) {
    this.process = spawn(command, args, { env: { ...process.env, ...env }, stdio: 'pipe' });
    this.stdout = '';
    this.stderr = '';
    this.bytes = [];
    this.process.stdout.on('data', (chunk) => this.#read('stdout', chunk, this.bytes.push(chunk)));
    this.process.stderr.on('data', (chunk) => this.#read('stderr', chunk));
    this.process.stdin.on('error', () => {}); // it may end without reading
    if (input !== undefined) this.process.stdin.end(input);
    /** { code, signal, stdout, stderr, bytes } when it has ended. */
    this.ended = new Promise((resolve) => this.process.on('close', (code, signal) => resolve(this.#end(code, signal))));
  }

  /** Resolves with the match once the output (of both kinds) has it; rejects when the program ends without. */
  wrote(pattern) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ pattern, resolve, reject });
      this.#look();
    });
  }

  /** Sends the signal; resolves as `ended` does. */
  interrupt(signal = 'SIGINT') {
    this.process.kill(signal);
    return this.ended;
  }

  #read(stream, chunk) {
    this[stream] += chunk;
    this.#look();
  }

  #look() {
    this.#waiting = this.#waiting.filter(({ pattern, resolve }) => {
      const match = pattern.exec(this.stdout) ?? pattern.exec(this.stderr);
      if (match) resolve(match);
      return !match;
    });
  }

  #end(code, signal) {
    const { stdout, stderr } = this;
    const bytes = Buffer.concat(this.bytes);
    for (const { pattern, reject } of this.#waiting) {
      reject(new Error(`it ended (${code ?? signal}) without writing ${pattern}\n${stdout}${stderr}`));
    }
    return { code, signal, stdout, stderr, bytes };
  }
}

/** Starts a program; it is killed with the test if it still runs. */
function start(t, command, args, options) {
  const program = new Program(command, args, options);
  t.after(() => program.interrupt('SIGKILL'), { timeout: 20_000 });
  return program;
}

module.exports = { start };
