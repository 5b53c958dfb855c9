// Starts the real `shoal origin` for a test file, and stops it again.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import readline from 'node:readline';

export const BUCKET = 'conformance';
export const KEYS = { id: 'key-id', secret: 'key-secret' };
export const STS = { id: 'STS.good', secret: 'sts-secret', token: 'sts-token' };
export const EXPIRED_STS = { id: 'STS.expired', secret: 'sts-secret', token: 'old-token' };
export const NO_LIST = { id: 'no-list', secret: 'no-list-secret' };

const CREDENTIALS = [
  KEYS,
  { ...STS, expiration: '2099-01-01T00:00:00Z' },
  { ...EXPIRED_STS, expiration: '2020-01-01T00:00:00Z' },
  { ...NO_LIST, deny: ['ListObjects'] },
];

export async function startOrigin() {
  const binary = process.env.SHOAL_BIN;
  if (!binary) throw new Error('SHOAL_BIN must name the shoal program');
  const folder = await mkdtemp(path.join(tmpdir(), 'shoal-conformance-'));
  const credentials = path.join(folder, 'credentials.json');
  const root = path.join(folder, 'root');
  await writeFile(credentials, JSON.stringify(CREDENTIALS));
  await mkdir(root);
  const child = spawn(binary, ['origin', '--root', root, '--listen', '127.0.0.1:0',
    '--bucket', BUCKET, '--credentials', credentials], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = readline.createInterface({ input: child.stdout });
  const [first] = await Promise.race([
    once(lines, 'line'),
    once(child, 'exit').then(() => { throw new Error('shoal origin ended at once'); }),
  ]);
  const url = first.match(/^shoal origin: listening on (http:\/\/127\.0\.0\.1:(\d+))$/);
  if (!url) throw new Error(`unexpected first line: ${first}`);
  return {
    root,
    url: url[1],
    port: Number(url[2]),
    // The exit status after SIGTERM.
    async stop() {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const [status] = await ended;
      await rm(folder, { recursive: true });
      return status;
    },
  };
}

// Resolves every host name to this host, for requests in virtual-host style.
export function loopbackAgent() {
  return new http.Agent({
    keepAlive: true,
    lookup: (host, options, done) =>
      (options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4)),
  });
}

// Bytes that depend on `seed` and do not repeat soon.
export function bytes(size, seed = 1) {
  const out = Buffer.alloc(size);
  let state = seed >>> 0;
  for (let i = 0; i < size; i += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    out[i] = state >>> 24;
  }
  return out;
}

// Keys that go wrong easily: in a URL, in XML, as a file name.
export const AWKWARD_KEYS = [
  'a b', 'a+b', 'a%2Fb', 'a&b<c>"d"', "quote'", 'ünïcode/日本語', 'tilde~(paren)!*', 'dir/', 'dir/x',
  'deep//slashes', 'dots/../up', '.', 'colon:semi;question?hash#', 'n'.repeat(300),
];
