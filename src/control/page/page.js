// The live page: asks /v1/status and /v1/warmup/list once a second, and draws what they say.
// Text from the node only ever becomes text, never markup.
'use strict';

const $ = (id) => document.getElementById(id);
const SVG = 'http://www.w3.org/2000/svg';
const PLACES = [
  { key: 'memory', name: 'memory' },
  { key: 'disk', name: 'disk' },
  { key: 'peer', name: 'peers' },
  { key: 'origin', name: 'bucket' },
];
const POLL_MS = 1000;
const WAIT_MS = 8000;
// How far the charts reach back: the first that shows all there is, so that a young node has
// more than a sliver.
const SPANS = [{ seconds: 120, step: 0.5 }, { seconds: 300, step: 1 }, { seconds: 600, step: 2 }];

// ---- Numbers as people read them.

function scaled(value, base, units) {
  let unit = 0;
  while (value >= base * 0.9995 && unit < units.length - 1) { value /= base; unit += 1; }
  const digits = unit === 0 ? 0 : value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return { number: value.toFixed(digits), unit: units[unit] };
}
const BYTES = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const spelled = (s) => `${s.number} ${s.unit}`;
const bytes = (n) => spelled(scaled(n, 1024, BYTES));
const rate = (n) => `${bytes(n)}/s`;
const latency = (us) => (us == null ? '–' : spelled(scaled(us, 1000, us < 1e6 ? ['µs', 'ms'] : ['µs', 'ms', 's'])));
const count = (n) => Math.round(n).toLocaleString('en-US').replaceAll(',', '\u202f');
const percent = (ratio) => (ratio == null ? '–' : `${(ratio * 100).toFixed(ratio > 0.9995 || ratio === 0 ? 0 : 1)} %`);
function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60 ? `${s % 60} s` : ''}`.trim();
  const minutes = Math.floor((s % 3600) / 60);
  if (s < 172800) return `${Math.floor(s / 3600)} h${minutes ? ` ${minutes} min` : ''}`;
  return `${Math.floor(s / 86400)} days`;
}
// Of the past, as exactly as one cares.
function ago(seconds) {
  if (seconds < 60) return `${duration(seconds)} ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return seconds < 172800 ? `${Math.floor(seconds / 3600)} h ago` : `${Math.floor(seconds / 86400)} days ago`;
}

// ---- Building.

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value != null) made.setAttribute(name, value);
  made.append(...children.filter((child) => child != null));
  return made;
}
function shape(tag, attributes = {}, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text != null) made.textContent = text;
  return made;
}
function meter(ratio, kind) {
  const filled = element('i', { class: kind });
  filled.style.width = `${Math.min(100, Math.max(0, ratio * 100))}%`;
  return element('div', { class: 'meter' }, filled);
}

// ---- Charts.

const MARGIN = { left: 62, right: 8, top: 8, bottom: 20 };

// Ticks of a scale from 0: at most five, of 1, 2 or 5 times a power of ten of the unit.
function linearTicks(max, base) {
  let unit = 1;
  while (max / unit >= base) unit *= base;
  const power = 10 ** Math.floor(Math.log10(max / unit / 4 || 1));
  const step = [1, 2, 5, 10].map((n) => n * power * unit).find((n) => max / n <= 4.999) ?? 10 * power * unit;
  const ticks = [];
  for (let tick = 0; tick < max + step * 0.999; tick += step) ticks.push(tick);
  return ticks;
}

class Chart {
  // `kind`: bytes (stacked areas from 0), ratio (a line from 0 to 1), latency (lines, logarithmic).
  constructor(place, kind) {
    this.place = place;
    this.kind = kind;
    this.svg = shape('svg', { role: 'img' });
    this.empty = element('div', { class: 'empty', hidden: '' });
    place.append(this.svg, this.empty);
    this.pointer = null;
    place.addEventListener('pointermove', (event) => { this.pointer = event; this.point(); });
    place.addEventListener('pointerleave', () => { this.pointer = null; this.point(); });
  }

  // series: [{name, class, values}], the oldest first; `end`: when the last one was.
  draw(series, end, emptyText) {
    Object.assign(this, { series, end });
    this.width = this.place.clientWidth;
    this.height = this.place.clientHeight;
    this.svg.setAttribute('viewBox', `0 0 ${this.width} ${this.height}`);
    this.length = Math.max(0, ...series.map((one) => one.values.length));
    this.span = SPANS.find((span) => span.seconds >= this.length) ?? SPANS.at(-1);
    const some = series.some((one) => one.values.some((value) => value != null && (value > 0 || this.kind === 'ratio')));
    this.empty.hidden = some;
    this.empty.replaceChildren(element('span', {}, emptyText));
    this.scale();
    const parts = [];
    const y0 = this.height - MARGIN.bottom;
    for (const tick of this.ticks) {
      const y = this.y(tick);
      parts.push(shape('line', { class: 'grid', x1: MARGIN.left, x2: this.width - MARGIN.right, y1: y, y2: y }));
      parts.push(shape('text', { x: MARGIN.left - 6, y: y + 4, 'text-anchor': 'end' }, this.label(tick)));
    }
    const whole = this.span.seconds / 60;
    for (let minutes = whole; minutes >= 0; minutes -= this.width > 420 ? this.span.step : whole / 2) {
      const x = this.x(this.last - Math.min(minutes * 60, this.last));
      const anchor = minutes === 0 ? 'end' : minutes === whole ? 'start' : 'middle';
      const text = minutes === 0 ? 'now' : whole === 2 ? `−${minutes * 60} s` : `−${minutes} min`;
      parts.push(shape('text', { x, y: y0 + 15, 'text-anchor': anchor }, text));
    }
    if (some) parts.push(...(this.kind === 'bytes' ? this.areas() : this.lines()));
    this.cursor = shape('line', { class: 'cursor', y1: MARGIN.top, y2: y0, visibility: 'hidden' });
    this.svg.replaceChildren(...parts, this.cursor);
    this.point();
  }

  scale() {
    const values = this.series.flatMap((one) => one.values).filter((value) => value != null);
    if (this.kind === 'ratio') {
      this.ticks = [0, 0.25, 0.5, 0.75, 1];
    } else if (this.kind === 'latency') {
      const low = Math.floor(Math.log10(Math.max(10, Math.min(...values, 100))));
      const high = Math.max(low + 2, Math.ceil(Math.log10(Math.max(...values, 1000))));
      this.ticks = [];
      for (let power = low; power <= high; power += 1) this.ticks.push(10 ** power);
    } else {
      let max = 0;
      for (let i = 0; i < this.length; i += 1) max = Math.max(max, this.series.reduce((sum, one) => sum + one.values[i], 0));
      this.ticks = linearTicks(Math.max(max, 1024 * 1024), 1024);
    }
  }
  y(value) {
    const map = this.kind === 'latency' ? Math.log10 : (n) => n;
    const [low, high] = [map(this.ticks[0]), map(this.ticks.at(-1))];
    const share = Math.min(1, Math.max(0, (map(Math.max(value, 1e-9)) - low) / (high - low)));
    return this.height - MARGIN.bottom - share * (this.height - MARGIN.top - MARGIN.bottom);
  }
  // Of a second counted from where the chart begins to its `last`.
  x(second) { return MARGIN.left + (second / this.last) * (this.width - MARGIN.left - MARGIN.right); }
  get last() { return this.span.seconds - 1; }
  xOf(index) { return this.x(this.span.seconds - this.length + index); }
  label(value) {
    if (this.kind === 'ratio') return `${value * 100} %`;
    if (this.kind === 'latency') return value >= 1e6 ? `${value / 1e6} s` : value >= 1e3 ? `${value / 1e3} ms` : `${value} µs`;
    if (value === 0) return '0';
    const s = scaled(value, 1024, BYTES);
    return `${Number(s.number)} ${s.unit}/s`;
  }

  areas() {
    const below = new Array(this.length).fill(0);
    return this.series.map((one) => {
      const path = [];
      for (let i = 0; i < this.length; i += 1) path.push(`${this.xOf(i).toFixed(1)},${this.y(below[i] + one.values[i]).toFixed(1)}`);
      for (let i = this.length - 1; i >= 0; i -= 1) {
        path.push(`${this.xOf(i).toFixed(1)},${this.y(below[i]).toFixed(1)}`);
        below[i] += one.values[i];
      }
      return shape('polygon', { class: `area ${one.class}`, points: path.join(' ') });
    });
  }
  lines() {
    return this.series.map((one) => {
      let path = '';
      let drawing = false;
      one.values.forEach((value, i) => {
        if (value == null) { drawing = false; return; }
        // A point alone is a dot, thanks to round ends.
        const at = `${this.xOf(i).toFixed(1)},${this.y(value).toFixed(1)}`;
        path += drawing ? `L${at}` : `M${at}L${at}`;
        drawing = true;
      });
      return shape('path', { class: `line ${one.class}`, d: path });
    });
  }

  // Shows what there was at the pointer.
  point() {
    const tip = $('tip');
    if (!this.pointer || !this.cursor || this.length === 0) {
      if (this.cursor) this.cursor.setAttribute('visibility', 'hidden');
      if (tip.owner === this) tip.hidden = true;
      return;
    }
    const left = this.place.getBoundingClientRect().left;
    const share = (this.pointer.clientX - left - MARGIN.left) / (this.width - MARGIN.left - MARGIN.right);
    const second = Math.round(Math.min(1, Math.max(0, share)) * this.last);
    const index = Math.min(this.length - 1, Math.max(0, second - (this.span.seconds - this.length)));
    const x = this.xOf(index);
    this.cursor.setAttribute('x1', x);
    this.cursor.setAttribute('x2', x);
    this.cursor.setAttribute('visibility', 'visible');
    const show = { bytes: rate, ratio: percent, latency }[this.kind];
    const rows = this.series.map((one) => element('tr', {},
      element('td', {}, element('i', { class: one.class }), one.name), element('td', {}, show(one.values[index]))));
    if (this.kind === 'bytes') {
      rows.reverse();  // as they lie upon each other
      const total = this.series.reduce((sum, one) => sum + one.values[index], 0);
      rows.push(element('tr', {}, element('td', {}, 'together'), element('td', {}, rate(total))));
    }
    const at = new Date((this.end - (this.length - 1 - index)) * 1000);
    tip.replaceChildren(element('div', { class: 'when' }, at.toLocaleTimeString()), element('table', {}, ...rows));
    tip.owner = this;
    tip.hidden = false;
    const room = this.pointer.clientX + 24 + tip.offsetWidth < window.innerWidth;
    tip.style.left = `${this.pointer.clientX + (room ? 16 : -16 - tip.offsetWidth)}px`;
    tip.style.top = `${Math.min(this.pointer.clientY + 12, window.innerHeight - tip.offsetHeight - 4)}px`;
  }
}

const charts = {
  throughput: new Chart($('throughput'), 'bytes'),
  hits: new Chart($('hits'), 'ratio'),
  latency: new Chart($('latency'), 'latency'),
};

// ---- What the node says, in panels.

const last = (values, n) => (values ?? []).slice(-n);
const sum = (values) => values.reduce((total, value) => total + (value ?? 0), 0);
const mean = (values) => (values.length ? sum(values) / values.length : 0);

// Of the bytes by place, and of the files that were handed to the kernel: what it reads of them
// nobody counts, so they count with their size when they are opened, as in /v1/tier.
const COUNTED = [...PLACES.map((place) => `${place.key}_bytes`), 'passthrough_opened_bytes'];

function hitRatio(history, n) {
  const [missed, all] = [sum(last(history.origin_bytes, n)), sum(COUNTED.map((column) => sum(last(history[column], n))))];
  return all > 0 ? 1 - missed / all : null;
}

function number(name, value, more, kind = '') {
  const space = value.lastIndexOf(' ');
  const shown = space < 0 ? [value] : [value.slice(0, space), element('small', {}, value.slice(space))];
  return element('div', { class: `number ${kind}` }, element('div', { class: 'name' }, name),
    element('div', { class: 'value' }, ...shown), element('div', { class: 'more', title: more }, more));
}

function handedToTheKernel(history) {
  const [files, size] = [sum(last(history.passthrough_open_count, 60)), sum(last(history.passthrough_opened_bytes, 60))];
  return number('Handed to the kernel', bytes(size), files === 0 ? 'no file in the last minute' : `${count(files)} ${files === 1 ? 'file' : 'files'}, last minute`);
}

function drawNumbers(status, history) {
  const place = (key) => mean(last(history[`${key}_bytes`], 5));
  const total = sum(PLACES.map((one) => place(one.key)));
  const read = (status.operations ?? []).find((one) => one.name === 'read' && one.side === 'mount');
  const reads = mean(last(history.read_count, 5));
  const minute = hitRatio(history, 60);
  const errors = sum(history.error_count ?? []);
  const minutes = Math.max(1, Math.round((history.error_count ?? []).length / 60));
  const open = status.open ?? {};
  const passes = status.mount?.passthrough;
  $('numbers').replaceChildren(
    number(passes ? 'Read by the daemon' : 'Reading', rate(total), `${count(reads)} reads/s, ${count(open.file_count ?? 0)} open`),
    ...(passes ? [handedToTheKernel(history)] : []),
    number('Hit ratio', percent(minute), minute == null ? 'nothing in the last minute' : passes ? 'of both, last minute' : 'of bytes, last minute'),
    number('Read latency p99', latency(read?.p99_us), read?.p50_us == null ? 'no read in the last minute' : `p50 ${latency(read.p50_us)}, last minute`),
    number('From the bucket', rate(mean(last(history.fetched_bytes, 5))), 'readahead, warm-up too'),
    number('Errors', count(errors), errors === 0 ? `none in the last ${minutes} min` : `in the last ${minutes} min`, errors > 0 ? 'bad' : ''),
  );
}

function drawCharts(status, history) {
  const end = history.end_unix_seconds ?? status.now_unix_seconds;
  const columns = PLACES.map((place) => ({ name: place.name, class: place.key, values: history[`${place.key}_bytes`] ?? [] }))
    .filter((one) => one.class !== 'peer' || (status.peers ?? []).length > 0 || sum(one.values) > 0);
  charts.throughput.draw(columns, end, `nothing was read${status.mount?.passthrough ? ' by the daemon' : ''} in the last 10 minutes`);
  // Over ten seconds each: of one second alone, a ratio jumps.
  const length = (history.origin_bytes ?? []).length;
  const ratios = [];
  let [missed, all] = [0, 0];
  const total = (i) => COUNTED.reduce((bytes_, column) => bytes_ + (history[column]?.[i] ?? 0), 0);
  for (let i = 0; i < length; i += 1) {
    missed += history.origin_bytes[i];
    all += total(i);
    if (i >= 10) { missed -= history.origin_bytes[i - 10]; all -= total(i - 10); }
    ratios.push(all > 0 ? 1 - missed / all : null);
  }
  charts.hits.draw([{ name: 'hits, over 10 s', class: 'memory', values: ratios }], end, 'nothing was read');
  charts.latency.draw([
    { name: 'p99', class: 'origin', values: history.read_p99_us ?? [] },
    { name: 'p50', class: 'memory', values: history.read_p50_us ?? [] }], end, 'nothing was read');
}

function drawTiers(tiers) {
  const rows = tiers.map((tier) => {
    const ratio = tier.capacity_bytes > 0 ? tier.used_bytes / tier.capacity_bytes : 0;
    return element('div', { class: 'row' },
      element('div', { class: 'top' },
        element('span', { class: 'label', title: tier.path }, tier.kind === 'memory' ? 'memory' : `disk ${tier.path}`),
        tier.working ? null : element('span', { class: 'chip bad' }, 'not used'),
        element('span', { class: 'side' }, `${percent(ratio)} of ${bytes(tier.capacity_bytes)}`)),
      meter(ratio, tier.working ? tier.kind : 'off'),
      element('div', { class: tier.working ? 'under' : 'under bad', title: tier.reason },
        tier.working ? `${bytes(tier.used_bytes)} in ${count(tier.object_count)} objects` : tier.reason));
  });
  $('tiers').replaceChildren(...(rows.length ? rows
    : [element('p', { class: 'none' }, 'This mount has no cache: g_tier_DadiMemCacheCapacityMB and g_tier_DadiDiskCacheCapacityMB give it one.')]));
}

// Tasks' progress as it was seen: id -> [{at, done}], ten seconds of it.
const seen = new Map();

function progressRate(task, now) {
  const marks = seen.get(task.Id) ?? [];
  marks.push({ at: now, done: task.CompletedSize });
  while (marks.length > 2 && now - marks[0].at > 10) marks.shift();
  seen.set(task.Id, marks);
  const first = marks[0];
  return now > first.at ? Math.max(0, (task.CompletedSize - first.done) / (now - first.at)) : null;
}

const TASKS_SHOWN = 3;
const CHIP = { completed: 'good', failed: 'bad', canceled: 'warn' };

function drawTask(task, status, now) {
  const name = element('span', { class: 'label', title: task.Path }, task.Path === '' ? '/' : task.Path + (task.IsDir ? '/' : ''));
  const filter = task.Pattern ? element('span', { class: 'chip', title: 'pattern' }, task.Pattern) : null;
  const sizes = `${bytes(task.CompletedSize)} of ${bytes(task.TotalSize)}`;
  const objects = task.TotalCount > 1 ? `${count(task.CompletedCount)} of ${count(task.TotalCount)} objects` : null;
  if (task.Status !== 'running') {
    return element('div', { class: 'row' },
      element('div', { class: 'top' }, name, filter, element('span', { class: `chip ${CHIP[task.Status] ?? ''}` }, task.Status),
        element('span', { class: 'side' }, ago(status.now_unix_seconds - task.EndTime / 1e6))),
      element('div', { class: task.Status === 'failed' ? 'under bad' : 'under', title: task.ErrorMessage },
        task.ErrorMessage || (task.Status === 'completed' ? `${bytes(task.TotalSize)}${task.TotalCount > 1 ? ` in ${count(task.TotalCount)} objects` : ''}` : sizes)));
  }
  const speed = progressRate(task, now);
  const ratio = task.TotalSize > 0 ? task.CompletedSize / task.TotalSize : 0;
  const left = speed > 0 ? `${duration((task.TotalSize - task.CompletedSize) / speed)} left` : null;
  const parts = task.TotalSize > 0 ? [sizes, speed == null ? null : rate(speed), left, objects].filter(Boolean) : ['finding out what there is'];
  const state = (parts.length > 3 ? parts.slice(0, 3) : parts).join(' · ');
  return element('div', { class: 'row' },
    element('div', { class: 'top' }, name, filter,
      element('span', { class: 'side' }, task.TotalSize > 0 ? percent(ratio) : 'listing')),
    meter(ratio, 'good'),
    element('div', { class: 'under', title: parts.join(' · ') }, state));
}

function drawTasks({ TaskInfos: tasks, RunningCount }, status) {
  const now = performance.now() / 1000;
  const running = tasks.filter((task) => task.Status === 'running');
  for (const id of [...seen.keys()]) if (!running.some((task) => task.Id === id)) seen.delete(id);
  const shown = tasks.slice(0, TASKS_SHOWN);
  for (const task of running.slice(TASKS_SHOWN)) progressRate(task, now);
  const more = RunningCount - shown.filter((task) => task.Status === 'running').length;
  $('warmups').replaceChildren(
    ...(shown.length ? shown.map((task) => drawTask(task, status, now)) : [element('p', { class: 'none' }, 'No task yet. ', element('code', {}, 'shoal warmup load PATH'), ' begins one.')]),
    ...(more > 0 ? [element('p', { class: 'none' }, `and ${count(more)} more running`)] : []));
}

function drawOperations(operations, upSeconds) {
  const seconds = Math.min(60, Math.max(1, upSeconds));
  const head = element('tr', {}, ...['', 'per second', 'errors', 'p50', 'p99'].map((name) => element('th', { scope: 'col' }, name)));
  $('operations').replaceChildren(head, ...operations.map((one) => element('tr', {},
    element('td', {}, one.name, element('small', {}, one.side === 'store' ? 'to the bucket' : '')),
    element('td', {}, one.count === 0 ? '–' : one.count < 10 * seconds ? (one.count / seconds).toFixed(one.count < seconds / 10 ? 2 : 1) : count(one.count / seconds)),
    element('td', { class: one.error_count > 0 ? 'bad' : null }, one.error_count === 0 ? '–' : count(one.error_count)),
    element('td', {}, latency(one.p50_us)), element('td', {}, latency(one.p99_us)))));
}

const ERRORS_SHOWN = 5;

function drawErrors(errors, now) {
  $('errors').replaceChildren(...(errors.length ? errors.slice(0, ERRORS_SHOWN).map((one) => element('div', { class: 'error' },
    element('span', { class: 'when' }, ago(now - one.last_unix_seconds)),
    element('span', { class: 'times', title: 'how often' }, one.count > 1 ? `×\u202f${count(one.count)}` : ''),
    element('span', { class: `chip ${one.severity === 'warning' ? 'warn' : 'bad'}` }, one.code ?? one.severity ?? 'error'),
    element('span', { class: 'reason', title: one.reason }, `${one.operation ? `${one.operation}: ` : ''}${one.reason}`)))
    : [element('p', { class: 'none' }, 'None.')]));
}

function drawPeers(peers) {
  $('peers-panel').hidden = peers.length === 0;
  $('peers-legend').hidden = peers.length === 0;
  $('errors-panel').classList.toggle('beside', peers.length > 0);
  const head = element('tr', {}, ...['', 'to it', 'from it', 'p50'].map((name) => element('th', { scope: 'col' }, name)));
  $('peers').replaceChildren(head, ...peers.slice(0, 8).map((peer) => element('tr', {},
    element('td', { title: peer.reason }, peer.address, ' ',
      peer.state === 'up' ? null : element('span', { class: 'chip bad' }, peer.state)),
    element('td', {}, rate(peer.given_bytes_per_second)), element('td', {}, rate(peer.taken_bytes_per_second)),
    element('td', {}, latency(peer.p50_us)))));
}

const DEATH_SHOWN_SECONDS = 600;
const times = (n) => (n === 1 ? 'Once' : `${count(n)} times`);

function verdict(status) {
  if (!status.ready) return ['bad', 'Not ready', status.reason];
  const broken = (status.tiers ?? []).filter((tier) => !tier.working);
  if (broken.length > 0) {
    return ['warn', 'Degraded', `${broken.map((tier) => `${tier.kind} ${tier.path}`.trim()).join(', ')} is not used: ${broken[0].reason}. Reads go on without it.`];
  }
  const down = (status.peers ?? []).filter((peer) => peer.state === 'down');
  if (down.length > 0) return ['warn', 'Degraded', `${down.length} of ${status.peers.length} peers do not answer: ${down[0].address}${down[0].reason ? `, ${down[0].reason}` : ''}`];
  const workers = status.workers_before ?? {};
  const died = status.now_unix_seconds - workers.last_death_unix_seconds;
  if (workers.death_count > 0 && died < DEATH_SHOWN_SECONDS) {
    return ['warn', 'Ready, after a crash', `The process that serves this mount died ${ago(died)}, and another took its place; the log says how it ended. ${times(workers.death_count)} since it was mounted.`];
  }
  if (sum(last(status.history?.error_count, 60)) > 0) return ['warn', 'Ready, with errors', ''];
  return ['good', 'Ready', ''];
}

function setState(kind, text, message) {
  $('state').className = `badge ${kind}`;
  $('state').textContent = text;
  $('alert').className = kind;
  $('alert').textContent = message;
  $('alert').hidden = !message;
}

function draw(status, tasks) {
  const history = status.history ?? {};
  const { mount = {}, process = {} } = status;
  $('login').hidden = true;
  $('main').hidden = false;
  $('main').classList.remove('stale');
  setState(...verdict(status));
  document.title = `${mount.mount_point ?? 'shoal'} – shoal`;
  $('mount').replaceChildren(mount.source ?? '', element('span', { class: 'to' }, 'on'), mount.mount_point ?? '');
  $('mount').title = `${mount.source} on ${mount.mount_point}`;
  const facts = [mount.role, mount.transport === 'io_uring' ? 'io_uring' : '/dev/fuse',
    mount.passthrough ? 'passthrough' : null,
    process.resident_bytes ? `${bytes(process.resident_bytes)} of memory` : null,
    process.cpu_cores != null ? `${process.cpu_cores.toFixed(1)} CPU cores` : null,
    `up ${duration(status.now_unix_seconds - status.started_unix_seconds)}`,
    status.workers_before?.death_count > 0 ? `worker died ${times(status.workers_before.death_count).toLowerCase()}` : null, `shoal ${status.version}`];
  $('facts').textContent = facts.filter(Boolean).join(' · ');
  $('note').textContent = mount.passthrough ? 'without files handed to the kernel' : '';
  $('note').title = mount.passthrough ? 'The kernel reads files that are whole in the cache by itself (passthrough), and nobody counts what it reads of them.' : '';
  $('hits-note').textContent = mount.passthrough ? 'of bytes read or handed over' : 'of bytes';
  drawNumbers(status, history);
  drawCharts(status, history);
  drawTiers(status.tiers ?? []);
  drawTasks(tasks, status);
  drawOperations(status.operations ?? [], status.now_unix_seconds - status.started_unix_seconds);
  drawErrors(status.errors ?? [], status.now_unix_seconds);
  drawPeers(status.peers ?? []);
}

// ---- Asking.

class TokenNeeded extends Error {}

async function ask(path) {
  const token = sessionStorage.getItem('token');
  const answer = await fetch(path, {
    headers: token ? { Authorization: `Bearer ${token}` } : {},
    signal: AbortSignal.timeout(WAIT_MS),
  });
  if (answer.status === 401) throw new TokenNeeded();
  const json = await answer.json();
  if (!answer.ok) throw new Error(json.ErrorMessage ?? `HTTP ${answer.status}`);
  return json;
}

let answered = null;  // when the node last did
let latest = null;

async function poll() {
  try {
    const [status, tasks] = await Promise.all([ask('/v1/status'), ask('/v1/warmup/list?count=50')]);
    answered = Date.now();
    latest = [status, tasks];
    draw(...latest);
  } catch (error) {
    if (error instanceof TokenNeeded) {
      setState('warn', 'Token needed', sessionStorage.getItem('token') ? 'That token is not the right one.' : '');
      sessionStorage.removeItem('token');
      $('main').hidden = true;
      $('login').hidden = false;
      return;  // the form goes on
    }
    const since = answered ? `for ${duration((Date.now() - answered) / 1000)}` : 'yet';
    setState('bad', 'No answer', `The node has not answered ${since} (${error.message}). What is below is what it last said.`);
    $('main').classList.add('stale');
  }
  schedule();
}

let timer = null;
function schedule() {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(poll, POLL_MS);
}

document.addEventListener('visibilitychange', schedule);
window.addEventListener('resize', () => { if (latest) draw(...latest); });
$('login').addEventListener('submit', (event) => {
  event.preventDefault();
  sessionStorage.setItem('token', $('token').value.trim());
  $('token').value = '';
  poll();
});
poll();
