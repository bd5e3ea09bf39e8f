'use strict';

/** Milliseconds on the one clock that all processes of this machine share, to a microsecond. */
function monotonic() {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/** Rejects with `reason` when `promise` has not settled after `ms`. */
async function within(ms, promise, reason) {
  let timer;
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(reason)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

module.exports = { monotonic, within };
