// Bundles test/units and runs it with Node's own test runner.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { build } from 'esbuild';

process.chdir(new URL('..', import.meta.url).pathname);
const entryPoints = readdirSync('test/units').map((name) => `test/units/${name}`);
await build({ entryPoints, bundle: true, platform: 'node', format: 'esm', outdir: '.test', outExtension: { '.js': '.mjs' }, logLevel: 'warning' });
const files = readdirSync('.test').filter((name) => name.endsWith('.mjs')).map((name) => `.test/${name}`);
process.exit(spawnSync(process.execPath, ['--test', ...files], { stdio: 'inherit' }).status ?? 1);
