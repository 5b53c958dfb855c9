// The live page, in a browser, over the real admin port.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { openPage, startBrowser, startNode } from './node.js';
import { busy, clustered, empty, ended, failing, NOW, SAMPLE, warming } from './statuses.js';

const PICTURES = new URL('pictures/', import.meta.url).pathname;
let node;
let browser;

before(async () => {
  await mkdir(PICTURES, { recursive: true });
  browser = await startBrowser();
});
after(() => browser?.close());
beforeEach(async (t) => {
  node = await startNode();
  t.after(() => node.stop());
});

// The text of what `selector` finds, once it is as `expected` says, with single spaces.
async function becomes(page, selector, expected) {
  const matcher = page.locator(selector).first();
  await page.waitForFunction(([s, source]) => {
    const text = document.querySelector(s)?.innerText.replace(/\s+/g, ' ') ?? '';
    return new RegExp(source).test(text);
  }, [selector, expected.source], { timeout: 20000 }).catch(async () => {
    assert.match((await matcher.innerText()).replace(/\s+/g, ' '), expected);
  });
}
async function texts(page, selector) {
  const found = await page.locator(selector).allInnerTexts();
  return found.map((text) => text.replace(/\s+/g, ' ').trim());
}
async function open(status, tasks, options) {
  await node.say({ status, tasks });
  const page = await openPage(browser, node.url, options);
  await page.waitForSelector('#main:not([hidden])');
  return page;
}
async function close(page) {
  assert.deepEqual(page.problems, []);
  await page.context().close();
}

test('a busy node shows its state at a glance', async () => {
  const page = await open(busy(), []);
  assert.equal(await page.innerText('#state'), 'Ready');
  assert.equal(await page.isVisible('#alert'), false);
  assert.equal((await page.innerText('#mount')), 'training.oss-cn-hangzhou.aliyuncs.com:/datasets on /mnt/oss_data'.replace(' on ', 'on'));
  assert.deepEqual(await texts(page, '.number'), [
    'Read by the daemon 2.75 GiB/s 22 164 reads/s, 34 open',
    'Handed to the kernel 10.5 GiB 42 files, last minute',
    'Hit ratio 98.6 % of both, last minute',
    'Read latency p99 4.10 ms p50 210 µs, last minute',
    'From the bucket 42.6 MiB/s readahead, warm-up too',
    'Errors 0 none in the last 10 min',
  ]);
  const cut = await page.evaluate(() => [...document.querySelectorAll('.number .more, h2')].filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.innerText));
  assert.deepEqual(cut, []);
  assert.deepEqual(await texts(page, '#tiers .row'), [
    'memory 99.0 % of 1.00 GiB 1014 MiB in 212 objects',
    'disk /mnt/cache/ 64.0 % of 10.0 GiB 6.40 GiB in 40 213 objects',
  ]);
  assert.equal((await texts(page, '#operations tr'))[1], 'read 1 521 – 210 µs 4.10 ms');
  assert.deepEqual(await page.locator('#throughput text').allTextContents(), ['0', '1 GiB/s', '2 GiB/s', '3 GiB/s', '4 GiB/s', '−10 min', '−8 min', '−6 min', '−4 min', '−2 min', 'now']);
  await close(page);
});

test('everything is seen without scrolling, in light and in dark', async () => {
  const states = { busy: [busy(), []], empty: [empty(), []], error: [failing(), ended()], warm: [busy(), warming()] };
  const backgrounds = new Set();
  for (const scheme of ['light', 'dark']) {
    for (const [name, [status, tasks]] of Object.entries(states)) {
      const page = await open(status, tasks, { scheme });
      await page.screenshot({ path: path.join(PICTURES, `${name}-${scheme}.png`) });
      const [height, width] = await page.evaluate(() => [document.documentElement.scrollHeight, document.documentElement.scrollWidth]);
      assert.ok(height <= 800 && width <= 1280, `${name} ${scheme}: ${width} x ${height}`);
      backgrounds.add(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
      await close(page);
    }
  }
  assert.equal(backgrounds.size, 2);
});

test('the sample of the documents is drawn', async () => {
  const page = await open(SAMPLE, []);
  assert.equal(await page.innerText('#state'), 'Ready, with errors');
  assert.equal((await texts(page, '#errors .error'))[0],
    "4 s ago × 3 error get 'images/archive-2019.tar': HTTP 403 InvalidObjectState, request 5C3D9175B6FC201293AD****");
  assert.deepEqual(await texts(page, '#peers tr'), ['to it from it p50', '192.168.1.2:17980 100 MiB/s 200 MiB/s 310 µs']);
  await close(page);
});

test('a young node is shown at the scale of what there is', async () => {
  const page = await open({ ...SAMPLE, started_unix_seconds: NOW - 8 }, []);
  assert.deepEqual((await page.locator('#throughput text').allTextContents()).slice(-5), ['−120 s', '−90 s', '−60 s', '−30 s', 'now']);
  assert.equal((await texts(page, '#operations tr'))[3], 'lookup 551 – 60 µs 18.0 ms');
  await close(page);
});

test('hovering shows the values of that second', async () => {
  const page = await open(busy(), []);
  const box = await page.locator('#throughput').boundingBox();
  await page.mouse.move(box.x + box.width - 9, box.y + 40);
  await becomes(page, '#tip', /^\S+ [AP]M bucket [\d.]+ MiB\/s disk 1\.8\d GiB\/s memory [\d.]+ MiB\/s together 2\.\d+ GiB\/s$/);
  const hits = await page.locator('#hits').boundingBox();
  await page.mouse.move(hits.x + hits.width - 9, hits.y + 40);
  await becomes(page, '#tip', /hits, over 10 s 98\.\d %$/);
  await page.mouse.move(5, 5);
  await page.waitForSelector('#tip', { state: 'hidden' });
  await close(page);
});

test('running warm-ups show how fast they are and when they end', async () => {
  const page = await open(busy(), warming(0));
  let second = 0;
  const moves = setInterval(() => { second += 1; node.say({ tasks: warming(second) }); }, 1000);
  await becomes(page, '#warmups', /model\/weights-00001-of-00008.safetensors \d\d\.\d % \d\d\.\d GiB of 100 GiB · [\d.]+ [MG]iB\/s · \d+ min( \d+ s)? left/);
  clearInterval(moves);
  await becomes(page, '#warmups', /datasets\/laion\/ listing finding out what there is/);
  await close(page);
});

test('of thousands of warm-ups a few are shown, and the others counted', async () => {
  const many = Array.from({ length: 5000 }, (_, i) => ({ id: i + 1, path: `d/${i}` }));
  const page = await open(busy(), [...ended(), ...many]);
  await becomes(page, '#warmups', /d\/4997 .*and 4 997 more running$/);
  await close(page);
});

test('warm-ups that have ended say how', async () => {
  const page = await open(failing(), ended());
  assert.deepEqual(await texts(page, '#warmups .row'), [
    '/ completed 24 h ago 9.00 GiB in 40 213 objects',
    'tmp/old canceled 5 h ago 2.00 GiB of 9.00 GiB',
    'datasets/huge/ failed 1 min ago the path has 3.9 TiB in 812,331 objects, and the disk cache holds 10 GiB: nothing was loaded',
  ]);
  await close(page);
});

test('a node in trouble says why first', async () => {
  const page = await open(failing(), []);
  assert.equal(await page.innerText('#state'), 'Not ready');
  assert.match(await page.innerText('#alert'), /refused the credentials: HTTP 403/);
  assert.match((await texts(page, '#tiers .row'))[1], /not used .* Input\/output error/);
  assert.equal((await texts(page, '.number'))[5], 'Errors 1 003 in the last 10 min');
  await close(page);
});

test('a node whose worker died says so for ten minutes, and how often for ever', async () => {
  const died = (seconds, death_count) => ({ ...busy(), workers_before: { death_count, last_death_unix_seconds: NOW - seconds, replaced_count: 0 } });
  let page = await open(died(125, 3), []);
  assert.equal(await page.innerText('#state'), 'Ready, after a crash');
  assert.equal(await page.innerText('#alert'), 'The process that serves this mount died 2 min ago, and another took its place; the log says how it ended. 3 times since it was mounted.');
  await close(page);
  page = await open(died(600, 1), []);
  assert.equal(await page.innerText('#state'), 'Ready');
  assert.match(await page.innerText('#facts'), / · worker died once · /);
  await close(page);
  page = await open(busy(), []);
  assert.doesNotMatch(await page.innerText('#facts'), /died/);
  await close(page);
});

test('a broken cache directory or peer is a degraded node', async () => {
  const broken = { ...failing(), ready: true, reason: '' };
  let page = await open(broken, []);
  assert.equal(await page.innerText('#state'), 'Degraded');
  assert.match(await page.innerText('#alert'), /^disk \/mnt\/cache\/ is not used: .*Reads go on without it\.$/);
  await close(page);
  page = await open(clustered(), []);
  assert.equal(await page.innerText('#alert'), '1 of 4 peers do not answer: 192.168.1.4:17980, connection refused');
  assert.equal((await texts(page, '#peers tr')).length, 5);
  await close(page);
});

test('an idle node without a cache says so and draws no nonsense', async () => {
  const page = await open(empty(), []);
  assert.equal(await page.innerText('#state'), 'Ready');
  assert.equal(await page.innerText('#throughput .empty'), 'nothing was read in the last 10 minutes');
  assert.match(await page.innerText('#tiers'), /^This mount has no cache/);
  assert.match(await page.innerText('#warmups'), /^No task yet/);
  assert.doesNotMatch(await page.innerText('body'), /NaN|undefined|null|Infinity/);
  await close(page);
});

test('a node whose files the kernel reads by itself is neither idle nor without hits', async () => {
  const status = busy();
  const idle = status.history.memory_bytes.map(() => 0);
  for (const name of ['memory_bytes', 'disk_bytes', 'origin_bytes', 'fetched_bytes', 'read_count']) status.history[name] = idle;
  const page = await open(status, []);
  assert.deepEqual((await texts(page, '.number')).slice(0, 3), [
    'Read by the daemon 0 B/s 0 reads/s, 34 open',
    'Handed to the kernel 10.5 GiB 42 files, last minute',
    'Hit ratio 100 % of both, last minute',
  ]);
  assert.equal(await page.innerText('#throughput .empty'), 'nothing was read by the daemon in the last 10 minutes');
  assert.equal(await page.isVisible('#hits .empty'), false);
  assert.equal(await page.innerText('#note'), 'without files handed to the kernel');
  await close(page);
});

test('names from the bucket are text, whatever is in them', async () => {
  const name = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
  const tasks = [{ id: 1, path: name, pattern: name, error_message: name, status: 'failed', ended_unix_micros: NOW * 1e6 }];
  const status = { ...failing(), reason: name, mount: { ...SAMPLE.mount, source: name } };
  const page = await open(status, tasks);
  assert.match(await page.innerText('#warmups'), /<img src=x/);
  assert.equal(await page.locator('main img, main script, header img').count(), 0);
  assert.equal(await page.title(), '/mnt/oss_data – shoal');
  await close(page);
});

test('it follows the node', async () => {
  const page = await open(busy(), []);
  await node.say({ status: { ...busy(), ready: false, reason: 'the store does not answer' } });
  await becomes(page, '#state', /^Not ready$/);
  await node.say({ status: busy() });
  await becomes(page, '#state', /^Ready$/);
  await close(page);
});

test('a node that is gone is said to be', async (t) => {
  const gone = await startNode();
  await gone.say({ status: busy(), tasks: [] });
  const page = await openPage(browser, gone.url);
  await page.waitForSelector('#main:not([hidden])');
  await gone.stop();
  await becomes(page, '#state', /^No answer$/);
  await becomes(page, '#alert', /^The node has not answered for \d+ s/);
  await page.context().close();
});

test('with a token it asks for it, and goes on with the right one', async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'shoal-page-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = path.join(folder, 'token');
  await writeFile(file, 'correct-horse-battery-staple\n');
  await chmod(file, 0o600);
  const guarded = await startNode(file);
  t.after(() => guarded.stop());
  await guarded.say({ status: busy(), tasks: [] });
  const page = await openPage(browser, guarded.url);
  await page.waitForSelector('#login:not([hidden])');
  await page.fill('#token', 'wrong');
  await page.click('#login button');
  await becomes(page, '#alert', /^That token is not the right one\.$/);
  await page.fill('#token', 'correct-horse-battery-staple');
  await page.click('#login button');
  await becomes(page, '#state', /^Ready$/);
  assert.ok(await page.isVisible('#main'));
  assert.ok(page.problems.every((problem) => problem.includes('401')), page.problems.join());
  await page.context().close();
});

test('a page of another origin can neither read nor change', async (t) => {
  await node.say({ status: busy(), tasks: [] });
  // On this machine too: browsers themselves keep pages of the internet from it.
  const other = http.createServer((_, answer) => answer.setHeader('Content-Type', 'text/html').end('<p>elsewhere'));
  other.listen(0, '127.0.0.1');
  t.after(() => { other.closeAllConnections(); other.close(); });
  await once(other, 'listening');
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${other.address().port}/`);
  const read = await page.evaluate(async (url) => {
    const load = `${url}v1/warmup/load?target_path=`;
    await new Promise((resolve) => {
      const image = new Image();
      image.onload = image.onerror = resolve;
      image.src = `${load}image`;
    });
    await fetch(`${load}fetched`, { mode: 'no-cors' }).catch(() => {});
    await fetch(`${load}posted`, { mode: 'no-cors', method: 'POST', body: new URLSearchParams({ pattern: 'x' }) }).catch(() => {});
    return fetch(`${url}v1/status`).then(() => 'read', (error) => error.name);
  }, node.url);
  assert.equal(read, 'TypeError');
  const list = await (await fetch(`${node.url}v1/warmup/list`)).json();
  assert.deepEqual(list.TaskInfos, []);
});
