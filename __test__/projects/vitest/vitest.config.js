import { defineConfig } from 'vitest/config';

// One pool after the other: worker threads, then processes of their own.
export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: 'threads', pool: 'threads' } },
      { extends: true, test: { name: 'forks', pool: 'forks' } },
    ],
  },
});
