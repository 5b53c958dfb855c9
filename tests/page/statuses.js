// What nodes in different states say of themselves; /v1/status of docs/operations.md.
import { readFileSync } from 'node:fs';

export const SAMPLE = JSON.parse(readFileSync(new URL('sample_status.json', import.meta.url)));
export const NOW = SAMPLE.now_unix_seconds;

// The same numbers each time.
function random(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const SECONDS = 600;
const MiB = 1 << 20;
const column = (value) => Array.from({ length: SECONDS }, (_, second) => value(second));

export function busy() {
  const next = random(7);
  const wave = (second) => 0.75 + 0.25 * Math.sin(second / 40) + 0.12 * (next() - 0.5);
  // Cold at first, and warmer with each epoch.
  const cold = (second) => Math.exp(-second / 150) + (second % 200 < 12 ? 0.25 : 0.02);
  const history = {
    end_unix_seconds: NOW,
    step_seconds: 1,
    memory_bytes: column((s) => Math.round(900 * MiB * wave(s) * Math.min(1, s / 200))),
    disk_bytes: column((s) => Math.round(2100 * MiB * wave(s) * (0.35 + 0.65 * Math.min(1, s / 260)))),
    peer_bytes: column(() => 0),
    origin_bytes: column((s) => Math.round(1100 * MiB * cold(s) * wave(s))),
    passthrough_open_count: column((s) => (s >= 540 && s % 10 === 0 ? 7 : 0)),
    passthrough_opened_bytes: column((s) => (s >= 540 && s % 10 === 0 ? 7 * 256 * MiB : 0)),
    fetched_bytes: column((s) => Math.round(1180 * MiB * cold(s) * wave(s))),
    read_count: column((s) => Math.round(24000 * wave(s))),
    error_count: column(() => 0),
    read_p50_us: column((s) => Math.round(180 + 2200 * cold(s) + 40 * next())),
    read_p99_us: column((s) => Math.round(2600 + 60000 * cold(s) + 2500 * next())),
  };
  return { ...SAMPLE, history, errors: [], operations: SAMPLE.operations.map((one) => ({ ...one, error_count: 0 })), peers: [] };
}

export function empty() {
  return {
    ...SAMPLE,
    started_unix_seconds: NOW - 4,
    mount: { ...SAMPLE.mount, role: 'basic', passthrough: false },
    process: { pid: 1, resident_bytes: 21 * MiB, cpu_cores: 0 },
    open: { file_count: 0, directory_count: 0 },
    tiers: [],
    operations: SAMPLE.operations.map((one) => ({ ...one, count: 0, error_count: 0, p50_us: null, p99_us: null })),
    history: Object.fromEntries(Object.entries(SAMPLE.history).map(([name, values]) => [name, Array.isArray(values) ? values.slice(0, 4).map(() => (name.endsWith('_us') ? null : 0)) : values])),
    peers: [],
    errors: [],
  };
}

export function failing() {
  const status = busy();
  const gone = (values, value) => values.map((one, second) => (second > 540 ? value : one));
  return {
    ...status,
    ready: false,
    reason: 'the bucket refused the credentials: HTTP 403 SecurityTokenExpired; write a new /etc/passwd-sts',
    tiers: [status.tiers[0], { ...status.tiers[1], working: false, reason: '/mnt/cache/: Input/output error; it is tried again every 30 s' }],
    operations: SAMPLE.operations,
    history: {
      ...status.history,
      memory_bytes: gone(status.history.memory_bytes, 40 * MiB),
      disk_bytes: gone(status.history.disk_bytes, 0),
      origin_bytes: gone(status.history.origin_bytes, 0),
      fetched_bytes: gone(status.history.fetched_bytes, 0),
      error_count: gone(status.history.error_count, 17),
    },
    errors: [
      { last_unix_seconds: NOW - 1, count: 1043, severity: 'error', reason: "get 'images/train/n01440764/n01440764_10026.JPEG': HTTP 403 SecurityTokenExpired, request 5C3D9175B6FC201293AD****" },
      { last_unix_seconds: NOW - 58, count: 1, severity: 'warning', reason: 'the cache at /mnt/cache/ is not used until it works again: Input/output error' },
      { last_unix_seconds: NOW - 400, count: 3, severity: 'error', reason: "<img src=x onerror=alert(1)> 'images/archive-2019.tar': HTTP 403 InvalidObjectState, request 5C3D9175B6FC201293AE****" },
    ],
  };
}

export function clustered() {
  const status = busy();
  return {
    ...status,
    mount: { ...status.mount, role: 'root and agent' },
    history: { ...status.history, peer_bytes: status.history.disk_bytes.map((value) => Math.round(value * 0.6)) },
    peers: [2, 3, 4, 5].map((n) => ({
      address: `192.168.1.${n}:17980`, state: n === 4 ? 'down' : 'up', reason: n === 4 ? 'connection refused' : '',
      given_bytes_per_second: n === 4 ? 0 : (300 + n * 17) * MiB, taken_bytes_per_second: n === 4 ? 0 : (280 + n * 29) * MiB,
      p50_us: n === 4 ? null : 250 + n * 31,
    })),
  };
}

// Tasks as the node's fake keeps them, `second` seconds after the first look.
export function warming(second = 0) {
  const GiB = 1024 * MiB;
  return [
    { id: 7, path: 'model/weights-00001-of-00008.safetensors', completed_bytes: Math.round((13 + 0.8 * second) * GiB), total_bytes: 100 * GiB, completed_object_count: 0, total_object_count: 1 },
    { id: 8, path: 'datasets/imagenet/train', pattern: '.*_2$', is_directory: true, completed_bytes: Math.round((41 + 0.3 * second) * GiB), total_bytes: 138 * GiB, completed_object_count: 381211, total_object_count: 1281167 },
    { id: 9, path: 'datasets/laion', is_directory: true },
    { id: 5, path: 'model', is_directory: true, status: 'completed', completed_bytes: 812 * GiB, total_bytes: 812 * GiB, completed_object_count: 212, total_object_count: 212, ended_unix_micros: (NOW - 340) * 1e6 },
  ];
}

export function ended() {
  const GiB = 1024 * MiB;
  return [
    { id: 4, path: 'datasets/huge', is_directory: true, status: 'failed', total_bytes: 4000 * GiB, ended_unix_micros: (NOW - 75) * 1e6, error_message: 'the path has 3.9 TiB in 812,331 objects, and the disk cache holds 10 GiB: nothing was loaded' },
    { id: 3, path: 'tmp/old', status: 'canceled', completed_bytes: 2 * GiB, total_bytes: 9 * GiB, total_object_count: 1, ended_unix_micros: (NOW - 3600 * 5) * 1e6 },
    { id: 2, path: '', is_directory: true, status: 'completed', completed_bytes: 9 * GiB, total_bytes: 9 * GiB, completed_object_count: 40213, total_object_count: 40213, ended_unix_micros: (NOW - 86400) * 1e6 },
  ];
}
