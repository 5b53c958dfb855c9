// Starts the admin port of a node that says what a test tells it to, and a browser to look.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import readline from 'node:readline';
import { chromium } from 'playwright-core';

export async function startNode(...args) {
  const binary = process.env.ADMIN_NODE;
  if (!binary) throw new Error('ADMIN_NODE must name the admin_node program');
  const child = spawn(binary, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = readline.createInterface({ input: child.stdout });
  const said = lines[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await said.next();
    if (done) throw new Error('admin_node ended');
    return value;
  };
  const port = Number(await next());
  return {
    url: `http://127.0.0.1:${port}/`,
    async say(what) {
      child.stdin.write(`${JSON.stringify(what)}\n`);
      await next();
    },
    async stop() {
      const ended = once(child, 'exit');
      child.stdin.end();
      await ended;
    },
  };
}

export function startBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox'],  // containers and root have none
  });
}

// A page that fails the test that opened it when anything in it goes wrong.
export async function openPage(browser, url, { scheme = 'light', width = 1280, height = 800 } = {}) {
  const context = await browser.newContext({ colorScheme: scheme, viewport: { width, height } });
  const page = await context.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(String(error)));
  page.on('console', (message) => { if (message.type() === 'error') page.problems.push(message.text()); });
  page.on('request', (request) => { if (!request.url().startsWith(url) && !request.url().startsWith('data:')) page.problems.push(`asked ${request.url()}`); });
  await page.goto(url);
  return page;
}
