// A real server and a real browser for the tests: `kinglet serve` on a free port of loopback, and the Chromium that is installed.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const root = new URL('../..', import.meta.url).pathname;
const program = process.env.KINGLET_PROGRAM ?? `${root}build/release/kinglet`;
const model = process.env.KINGLET_E2E_MODEL ?? 'qwen2.5-coder-0.5b';

/** Starts a server; its address, and how to end it. */
export async function serve(extra = [], env = {}) {
  const child = spawn(program, ['serve', model, '--ctx', '4096', ...(extra.includes('--port') ? [] : ['--port', '0']), ...extra], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...env },
  });
  const lines = createInterface({ input: child.stderr });
  const url = await new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      const found = /"url":"([^"]+)"/.exec(line);
      if (found) resolve(found[1]);
    });
    child.on('exit', (code) => reject(new Error(`kinglet serve ended with ${code}`)));
  });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  return { url, stop: () => (child.kill('SIGTERM'), ended) };
}

export async function launch() {
  const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync);
  if (!executablePath) throw new Error('no Chromium here: install the package chromium, or set CHROMIUM');
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
}

/** A page whose errors, foreign requests and refused scripts are collected in `trouble`. */
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, permissions: ['clipboard-read', 'clipboard-write'], ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const trouble = [];
  page.on('pageerror', (error) => trouble.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' || /Content.Security.Policy/i.test(message.text())) trouble.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    const address = request.url();
    if (!address.startsWith(url) && !/^(data|blob):/.test(address)) trouble.push(`foreign request: ${address}`);
  });
  page.on('dialog', (dialog) => void dialog.accept());
  await page.goto(url);
  return { context, page, trouble };
}

/** Answers chat requests with these pieces instead of the server, for what a model says only seldom. */
export async function script(page, deltas, finish = 'stop') {
  await page.route('**/v1/chat/completions', async (route) => {
    const events = deltas.map((delta) => ({ choices: [{ index: 0, delta }] }));
    events.push({ choices: [{ index: 0, delta: {}, finish_reason: finish }] });
    events.push({ choices: [], usage: { prompt_tokens: 900, completion_tokens: deltas.length, prompt_tokens_details: { cached_tokens: 800 } } });
    const body = [...events.map((event) => JSON.stringify(event)), '[DONE]'].map((data) => `data: ${data}\n\n`).join('');
    await route.fulfill({ status: 200, contentType: 'text/event-stream', body });
  });
  return () => page.unroute('**/v1/chat/completions');
}

export async function send(page, text) {
  await page.fill('#composer', text);
  await page.press('#composer', 'Enter');
}

/** Asks the page again and again. (Playwright's own way is eval, which the page's policy forbids.) */
export async function until(page, condition) {
  for (const end = Date.now() + 60_000; ; ) {
    if (await page.evaluate(condition)) return;
    if (Date.now() > end) throw new Error(`not in time: ${condition}`);
    await page.waitForTimeout(50);
  }
}

/** Waits until no answer is being written. */
export const settled = (page) =>
  until(page, () => document.querySelector('article.assistant') && document.querySelector('[aria-busy=false].thread') && document.querySelector('.round[aria-label=Send]'));
