// The page in a real browser before a real server. `node test/e2e.mjs [PART OF A TEST'S NAME]`; screenshots go to KINGLET_SHOTS.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { launch, openPage, script, send, serve, settled, until } from './browser.mjs';
import { hostile } from './hostile.mjs';

const shots = process.env.KINGLET_SHOTS;
const axeSource = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const tests = [];
const test = (name, run, options = {}) => tests.push({ name, run, options });

const shot = (page, name) => (shots ? page.screenshot({ path: `${shots}/${name}.png` }) : undefined);
const text = (page, selector) => page.locator(selector).innerText();

// No serious and no critical finding. (axe comes in over the debugging protocol, which the page's policy does not bind.)
async function accessible(page, where) {
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  const grave = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  const list = grave.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 150)).join(' | ')}`);
  assert.deepEqual(list, [], `accessibility: ${where}`);
  const minor = violations.filter((one) => !grave.includes(one)).map(({ id, impact }) => `${id} (${impact})`);
  if (minor.length > 0) console.log(`    ${where}: ${minor.join(', ')}`);
}

async function limitAnswers(page, tokens, temperature = '0') {
  await page.keyboard.press('Control+.');
  await page.getByLabel('Most tokens').fill(String(tokens));
  await page.getByLabel('Temperature').fill(temperature);
  await page.keyboard.press('Escape');
}

test('a conversation: streamed, kept, found again, renamed, exported, deleted', async ({ page, url }) => {
  await page.getByRole('heading', { name: 'What shall we work on?' }).waitFor();
  await shot(page, 'welcome-light');
  await limitAnswers(page, 60);
  await send(page, 'Write a Python function that adds two numbers.');
  await page.getByText(/tokens\/s/).first().waitFor();
  await settled(page);
  const answer = await text(page, 'article.assistant');
  assert.ok(answer.length > 20, answer);
  assert.match(await text(page, '.stats'), /\d+ tokens .* tokens\/s .* first after/);
  assert.match(await text(page, '.context'), /\d+ \/ 4,096/);
  assert.match(await text(page, '.top-bar .chip'), /[MG]B/);

  await page.reload();
  await page.locator('article.assistant').waitFor();
  assert.ok((await text(page, 'article.assistant')).includes('def'), 'kept over a reload');

  await page.keyboard.press('Control+k');
  await page.keyboard.type('adds numbers');
  assert.equal(await page.locator('.list li').count(), 1);
  await page.fill('#search', 'nowhere to be found');
  assert.equal(await page.locator('.list li').count(), 0);
  await page.fill('#search', '');

  await page.getByRole('button', { name: /^More about/ }).click();
  await page.keyboard.press('ArrowDown');
  const [download] = await Promise.all([page.waitForEvent('download'), page.keyboard.press('Enter')]);
  assert.match(download.suggestedFilename(), /\.md$/);
  assert.match(readFileSync(await download.path(), 'utf8'), /\*\*You\*\*\n\nWrite a Python function/);
  await page.getByRole('button', { name: /^More about/ }).click();
  const [json] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name: 'Export as JSON' }).click()]);
  const path = await json.path();
  assert.equal(JSON.parse(readFileSync(path, 'utf8')).conversations.length, 1);

  await page.getByRole('button', { name: /^More about/ }).click();
  await page.getByRole('menuitem', { name: 'Rename' }).click();
  await page.getByLabel('Title').fill('Sums');
  await page.keyboard.press('Enter');
  await page.locator('.list .title', { hasText: 'Sums' }).waitFor();
  await page.getByRole('button', { name: 'More about Sums' }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await page.getByText('Conversations stay in this browser.').waitFor();
  await page.setInputFiles('input[type=file]', path);
  await page.getByText('1 conversation imported.').first().waitFor();
  assert.equal(await page.locator('.list li').count(), 1);
  assert.equal(new URL(page.url()).origin, url);
});

test('edit, retry, versions, branch', async ({ page }) => {
  await limitAnswers(page, 8);
  await send(page, 'Say one word.');
  await settled(page);
  await page.locator('article.assistant').getByRole('button', { name: 'Retry' }).click();
  await settled(page);
  await page.getByLabel('Version 2 of 2').waitFor();
  await page.getByRole('button', { name: 'Previous version' }).click();
  await page.getByLabel('Version 1 of 2').waitFor();

  await page.focus('#composer');
  await page.keyboard.press('ArrowUp');
  await page.getByLabel('Edit your message').fill('Say two words.');
  await page.keyboard.press('Enter');
  await settled(page);
  assert.match(await text(page, 'article.user'), /Say two words/);
  await page.keyboard.press('Alt+ArrowUp');
  await page.keyboard.press('Alt+ArrowUp');
  await page.keyboard.press('ArrowLeft');
  await page.locator('article.user', { hasText: 'Say one word.' }).waitFor();
  assert.equal(await page.locator('article').count(), 2, 'the answers of the first version are back');

  await page.locator('article.user:focus').waitFor();
  await page.keyboard.press('b');
  await page.locator('.list li', { hasText: '(branch)' }).waitFor();
  assert.equal(await page.locator('article').count(), 1);
  await send(page, 'Another.');
  await settled(page);
  assert.equal(await page.locator('.list li').count(), 2);
});

test('stop, with Escape and with the button', async ({ page }) => {
  for (const how of ['Escape', 'button']) {
    if (how === 'button') await page.keyboard.press('Control+Shift+o');
    await limitAnswers(page, 2000);
    await send(page, 'Write a long story about a king and his three sons.');
    await page.locator('.prose.live').waitFor();
    if (how === 'Escape') await page.keyboard.press('Escape');
    else await page.getByRole('button', { name: 'Stop' }).click();
    await settled(page);
    assert.match(await page.locator('article.assistant').last().innerText(), /Stopped\./);
  }
  await until(page, async () => / 0$/m.test((await (await fetch('metrics')).text()).match(/^kinglet_answers_running.*$/m)[0]));
});

test('what a model writes runs no script and fetches nothing', async ({ page, trouble }) => {
  await script(page, [...hostile.matchAll(/[\s\S]{1,7}/g)].map(([content]) => ({ content })));
  await send(page, 'Attack.');
  await settled(page);
  for (const link of await page.locator('article.assistant a').all()) {
    assert.match((await link.getAttribute('href')) ?? 'https:', /^(https?:|mailto:|#)/);
    await link.hover({ force: true }).catch(() => undefined);
  }
  await page.waitForTimeout(300);
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  const bad = 'script, iframe, object, embed, img[src^=http], svg script, form:not(.tool-result), input, style, link, base, meta, [onerror], [onload], [onmouseover], [ontoggle], [style*=fixed]';
  assert.equal(await page.locator('article.assistant').locator(bad).count(), 0);
  assert.equal(await page.locator('#composer').count(), 1, 'no element takes the name of another');
  await page.reload();
  await page.locator('article.assistant').waitFor();
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  await shot(page, 'hostile');
  trouble.splice(0, trouble.length, ...trouble.filter((one) => !/evil\.example/.test(one) || /foreign/.test(one)));
});

test('a real model that is made to write script writes text', async ({ page }) => {
  await page.keyboard.press('Control+.');
  await page.getByLabel('By a schema').check();
  await page.getByLabel('JSON Schema').fill(JSON.stringify({ const: "<img src=x onerror='window.pwned=1'><script>window.pwned=1</script>" }));
  await page.keyboard.press('Escape');
  await send(page, 'Go.');
  await settled(page);
  assert.match(await text(page, 'article.assistant .prose'), /<script>window\.pwned=1/);
  assert.equal(await page.evaluate(() => window.pwned), undefined);
});

const rich = `## A function

Here is **Euclid's algorithm** with a [link](https://example.org) and \`inline code\`:

\`\`\`python
def gcd(a: int, b: int) -> int:
    """Greatest common divisor."""
    while b:
        a, b = b, a % b  # the remainder
    return abs(a)
\`\`\`

| algorithm | average | worst | stable |
|---|---|---|---|
| merge sort | O(n log n) | O(n log n) | yes |
| quicksort | O(n log n) | O(n²) | no |

The solutions of $ax^2 + bx + c = 0$ are

$$x_{1,2} = \\frac{-b \\pm \\sqrt{b^2 - 4ac}}{2a}$$

and it costs $5, not $10. Also \\(e^{i\\pi} = -1\\).

> A quotation.

1. first
2. second`;

test('Markdown, code, tables, mathematics, thinking, tools', async ({ page }) => {
  const pieces = [...rich.matchAll(/[\s\S]{1,5}/g)].map(([content]) => ({ content }));
  const restore = await script(page, [
    { reasoning_content: 'The user wants an algorithm.' },
    ...pieces,
    { tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'get_weather', arguments: '{"city"' } }] },
    { tool_calls: [{ index: 0, function: { arguments: ':"Berlin"}' } }] },
  ], 'tool_calls');
  await send(page, 'Show everything.');
  await settled(page);
  const answer = page.locator('article.assistant');
  assert.equal(await answer.locator('table tbody tr').count(), 2);
  assert.equal(await answer.locator('math').count(), 3);
  assert.ok(await answer.locator('math msqrt').count());
  assert.ok((await answer.innerText()).includes('it costs $5, not $10'));
  assert.ok(await answer.locator('pre .hljs-keyword').count());
  await answer.getByRole('button', { name: 'Copy python code' }).click();
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^def gcd\(a: int, b: int\) -> int:\n {4}"""/);
  assert.equal(await answer.getByText('The user wants an algorithm.').isVisible(), false, 'thinking is folded');
  await answer.getByText('Thoughts').click();
  await answer.getByText('The user wants an algorithm.').waitFor();
  await answer.getByText('Thoughts').click();
  await answer.locator('summary', { hasText: 'get_weather' }).click();
  await answer.locator('pre.json', { hasText: 'Berlin' }).waitFor();
  assert.equal(await page.locator('.prose.live').count(), 0);
  await accessible(page, 'a rich answer');
  await shot(page, 'rich-light-end');
  await page.locator('.thread').evaluate((box) => (box.scrollTop = 0));
  await shot(page, 'rich-light');
  await restore();
  await script(page, [{ content: 'It is sunny.' }]);
  await page.getByLabel('What get_weather returned').fill('{"sky": "clear"}');
  await page.getByRole('button', { name: 'Give the result' }).click();
  await page.getByText('It is sunny.').last().waitFor();
  await settled(page);
  for (const theme of ['dark']) {
    await page.getByRole('button', { name: /^Colours/ }).click();
    await page.getByRole('button', { name: /^Colours: light/ }).click();
    await page.locator(`html[data-theme=${theme}]`).waitFor({ state: 'attached' });
    await page.waitForTimeout(250);
    await accessible(page, theme);
    await shot(page, 'rich-dark-end');
    await page.locator('.thread').evaluate((box) => (box.scrollTop = 0));
    await page.waitForTimeout(200);
    await shot(page, 'rich-dark');
  }
  await page.setViewportSize({ width: 390, height: 800 });
  await page.waitForTimeout(300);
  await page.getByRole('button', { name: 'Hide the sidebar' }).click();
  await page.waitForTimeout(300);
  await shot(page, 'phone-dark');
});

test('every view is accessible, in both colours', async ({ page }) => {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await page.waitForTimeout(250);
    await accessible(page, `welcome, ${colorScheme}`);
    await shot(page, `welcome-${colorScheme}`);
    for (const [keys, name] of [['Control+.', 'settings'], ['Control+/', 'shortcuts']]) {
      await page.keyboard.press(keys);
      await page.locator('dialog[open]').waitFor();
      await accessible(page, `${name}, ${colorScheme}`);
      await shot(page, `${name}-${colorScheme}`);
      await page.keyboard.press('Escape');
      await page.locator('dialog[open]').waitFor({ state: 'detached' });
    }
    await page.locator('.top-bar .chip').click();
    await accessible(page, `server, ${colorScheme}`);
    await shot(page, `server-${colorScheme}`);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'JSON playground' }).click();
    await accessible(page, `playground, ${colorScheme}`);
    await page.getByRole('button', { name: 'New conversation' }).click();
  }
});

test('playground: held to the schema, and refusals by name', async ({ page, trouble }) => {
  await page.getByRole('button', { name: 'JSON playground' }).click();
  await page.getByRole('button', { name: 'A judgement' }).click();
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.locator('.verdict.good').waitFor();
  const answer = JSON.parse(await text(page, '.result pre'));
  assert.deepEqual(Object.keys(answer).sort(), ['confidence', 'mood', 'reason']);
  assert.ok(['positive', 'mixed', 'negative'].includes(answer.mood));
  await shot(page, 'playground-light');
  await page.getByLabel('JSON Schema').fill('{"type": "object", "unevaluatedProperties": {"type": "string"}, "not": {}}');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.locator('.verdict.bad').waitFor();
  assert.match(await text(page, '.verdict.bad'), /not|unevaluatedProperties/);
  assert.match(trouble.splice(0).join(), /^[^,]*400 \(Bad Request\)$/);
  await page.getByLabel('JSON Schema').fill('{"type": "boolean"}');
  await page.getByRole('button', { name: 'Use in a conversation' }).click();
  await page.getByText('answers by schema').waitFor();
  await send(page, 'Is water wet?');
  await settled(page);
  assert.match(await text(page, 'article.assistant .prose'), /^\s*(true|false)\s*$/);
});

test('phone width', async ({ browser, url }) => {
  const { page, context, trouble } = await openPage(browser, url, { viewport: { width: 390, height: 800 }, hasTouch: true, isMobile: true });
  await page.getByRole('heading', { name: 'What shall we work on?' }).waitFor();
  await page.locator('.suggestions button:enabled').first().waitFor();
  await shot(page, 'phone-welcome');
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390, 'nothing is wider than the screen');
  await accessible(page, 'phone');
  await page.getByRole('button', { name: 'Show the sidebar' }).tap();
  await page.waitForTimeout(300);
  await accessible(page, 'phone, sidebar');
  await shot(page, 'phone-sidebar');
  await page.mouse.click(370, 400);
  await page.getByRole('button', { name: 'Settings of this conversation' }).tap();
  await page.locator('dialog[open]').waitFor();
  await shot(page, 'phone-settings');
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
  assert.deepEqual(trouble, []);
  await context.close();
});

test('the keyboard reaches everything', async ({ page }) => {
  await page.keyboard.press('Control+Shift+s');
  await page.locator('body').click({ position: { x: 640, y: 30 } });
  const names = [];
  for (let i = 0; i < 12; ++i) {
    await page.keyboard.press('Tab');
    names.push(await page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent.trim()));
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement.closest('.box') ?? document.activeElement).outlineStyle);
    const onPage = await page.evaluate(() => document.activeElement !== document.body); // past the end: the browser's own
    if (onPage) assert.notEqual(outline, 'none', `the focus shows on ${names.at(-1)}`);
  }
  assert.ok(names.some((name) => /Settings/.test(name)), names.join(', '));
  assert.ok(names.some((name) => /^Message/.test(name)), names.join(', '));
});

test('a server that asks for a key', async ({ browser }) => {
  const key = 'a-key-of-sixteen-or-more';
  const server = await serve([], { KINGLET_API_KEY: key });
  const { page, context } = await openPage(browser, server.url);
  await page.getByLabel('Key', { exact: true }).fill('wrong-wrong-wrong');
  await page.getByRole('button', { name: 'Use this key' }).click();
  await page.locator('dialog[open]').waitFor();
  await page.getByLabel('Key', { exact: true }).fill(key);
  await page.getByRole('button', { name: 'Use this key' }).click();
  await page.locator('.suggestions button:enabled').first().waitFor();
  await accessible(page, 'with a key');
  await context.close();
  assert.equal(await server.stop(), 0);
});

test('a server that goes away and comes back', async ({ browser }) => {
  const server = await serve();
  const { page, context } = await openPage(browser, server.url);
  await page.locator('.suggestions button:enabled').first().waitFor();
  await server.stop();
  await page.locator('.banner').waitFor();
  await send(page, 'Are you there?');
  await page.locator('article.assistant .error', { hasText: 'cannot be reached' }).waitFor();
  const again = await serve(['--port', new URL(server.url).port]);
  await page.locator('.banner').waitFor({ state: 'detached' });
  await limitAnswers(page, 5);
  await page.getByRole('button', { name: 'Retry' }).click();
  await settled(page);
  await page.getByLabel('Version 2 of 2').waitFor();
  await context.close();
  await again.stop();
});

test('--no-web serves no page', async () => {
  const server = await serve(['--no-web']);
  assert.equal((await fetch(server.url)).status, 404);
  assert.equal((await fetch(`${server.url}/health`)).status, 200);
  await server.stop();
});

const wanted = process.argv[2] ?? '';
const server = process.env.KINGLET_URL ? { url: process.env.KINGLET_URL, stop: () => 0 } : await serve();
const browser = await launch();
let failed = 0;
for (const { name, run } of tests.filter((one) => one.name.includes(wanted))) {
  const begun = performance.now();
  const opened = await openPage(browser, server.url);
  try {
    await opened.page.locator('.model-choice:enabled').waitFor();
    await run({ ...opened, browser, url: server.url });
    assert.deepEqual(opened.trouble, []);
    console.log(`ok    ${name} (${Math.round(performance.now() - begun)} ms)`);
  } catch (error) {
    ++failed;
    await Promise.resolve(shot(opened.page, `failed-${failed}`)).catch(() => undefined);
    console.log(`FAIL  ${name}\n${error.stack}\n  ${opened.trouble.join('\n  ')}`);
  }
  await opened.context.close();
}
await browser.close();
await server.stop();
console.log(failed === 0 ? 'the page: all good' : `the page: ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
